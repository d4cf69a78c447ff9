/** `unicode.confusable` in text: internationalised domain names whose letters all pass for ASCII ones (UTS #39). */

import { domainToUnicode } from "node:url";
import type { Hit } from "./hit.ts";
import { skeletonOf } from "./skeleton.ts";

const ENCODED = /(?<![A-Za-z0-9-])xn--[a-z0-9-]{2,59}/giu;

/** Finds labels in punycode that read like an ASCII name. */
export function findConfusableDomains(text: string): readonly Hit[] {
  return [...text.matchAll(ENCODED)]
    .filter(({ 0: label }) => {
      const name = domainToUnicode(label.toLowerCase());
      return name !== "" && /^[\x21-\x7e]*$/u.test(skeletonOf(name)) && !/^[\x21-\x7e]*$/u.test(name);
    })
    .map(({ 0: label, index }) => ({
      rule: "unicode.confusable",
      severity: "warn",
      start: index,
      end: index + label.length,
    }));
}
