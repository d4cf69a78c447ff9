/** `pii.us_ssn`: social security numbers of the United States, as issued by the Social Security Administration's rules. */

import type { Hit } from "./hit.ts";

const WRITTEN = /(?<![\p{L}\p{N}_-])\d{3}-\d{2}-\d{4}(?![\p{L}\p{N}_-])/gu;
const BARE = /^\d{9}$/u;

/** Finds numbers written `ddd-dd-dddd`. */
export function findUsSsns(text: string): readonly Hit[] {
  return [...text.matchAll(WRITTEN)]
    .filter(({ 0: number }) => isIssued(number.replaceAll("-", "")))
    .map(({ 0: number, index }) => ({
      rule: "pii.us_ssn",
      severity: "warn",
      start: index,
      end: index + number.length,
    }));
}

/** True for nine digits without hyphens; they are a finding only under a name that says so. */
export function isBareUsSsn(value: string): boolean {
  return BARE.test(value) && isIssued(value);
}

/** Area not 000, 666 or 9xx, group not 00, serial not 0000. */
function isIssued(digits: string): boolean {
  const [area, group, serial] = [digits.slice(0, 3), digits.slice(3, 5), digits.slice(5)];
  return area !== "000" && area !== "666" && !area.startsWith("9") && group !== "00" && serial !== "0000";
}
