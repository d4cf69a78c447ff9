/** Rules about one name: characters, length, and letters that only look like ASCII (mcp-gateway §14.2). */

import type { Count } from "./injection.ts";
import { skeletonOf } from "./skeleton.ts";
import { findControls } from "./unicode-control.ts";
import { findInvisible } from "./unicode-invisible.ts";
import { findOddLetters, isMixed } from "./unicode-letters.ts";

const PLAIN = /^[A-Za-z0-9_.-]*$/u;
const ASCII = /^[\x20-\x7e]*$/u;
const MAX_NAME = 128;

/** Findings about a name. All but odd characters of ASCII blocks, since a name has no need of it. */
export function checkName(name: string): readonly Count[] {
  const counts: Count[] = [];
  const add = (rule: Count["rule"], count = 1): void => {
    if (count > 0) counts.push({ rule, severity: "block", count });
  };
  if (name.length === 0 || name.length > MAX_NAME) add("name.length");
  if (PLAIN.test(name)) return counts;
  // Published tools have spaces and slashes in their names: odd, and no disguise.
  counts.push({ rule: "name.charset", severity: ASCII.test(name) ? "warn" : "block", count: 1 });
  if (!ASCII.test(name) && ASCII.test(skeletonOf(name))) add("unicode.confusable");
  if ((name.match(/[\p{L}\p{M}]{1,256}/gu) ?? []).some(isMixed)) add("unicode.mixed-script");
  if (/[\u{ff21}-\u{ff5a}\u{1d400}-\u{1d7ff}\u{24b6}-\u{24e9}]/u.test(name)) add("unicode.compatibility");
  const odd = findOddLetters(name).filter(
    ({ rule }) => rule !== "unicode.mixed-script" && rule !== "unicode.compatibility",
  );
  for (const { rule } of [...findInvisible(name), ...findControls(name, "block"), ...odd]) {
    if (!counts.some((count) => count.rule === rule)) add(rule);
  }
  return counts;
}
