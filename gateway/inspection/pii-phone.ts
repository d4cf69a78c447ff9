/**
 * `pii.phone`: telephone numbers, by the rules of each country's numbering plan. International ones (`+…`) always; national ones
 * only where a region is configured or a key names a telephone. The one file that knows libphonenumber-js.
 */

import { type CountryCode, findPhoneNumbersInText, isSupportedCountry } from "libphonenumber-js/min";
import type { Hit } from "./hit.ts";

/** A plus and what can follow it in a number; the library then looks at these few characters only. */
const INTERNATIONAL = /(?<![\p{L}\p{N}+])\+\d[\d ().x/-]{5,30}/gu;
const NATIONAL = /(?<![\p{L}\p{N}+.-])[(]?\d[\d ().x/-]{5,30}/gu;

/**
 * Finds international numbers, and national ones of a region if there is one; cost: one look of the library at each candidate of at
 * most 32 characters.
 *
 * @param regionName  ISO 3166 code; one that the numbering plans do not have counts as none
 */
export function findPhones(text: string, regionName: string | undefined): readonly Hit[] {
  const region = regionName === undefined ? undefined : phoneRegion(regionName);
  const candidates = [...text.matchAll(region === undefined ? INTERNATIONAL : NATIONAL)];
  const international = region === undefined ? [] : [...text.matchAll(INTERNATIONAL)];
  return [...candidates, ...international].flatMap(({ 0: candidate, index }) =>
    findPhoneNumbersInText(candidate, region === undefined ? {} : { defaultCountry: region }).map(
      ({ startsAt, endsAt }): Hit => ({
        rule: "pii.phone",
        severity: "warn",
        start: index + startsAt,
        end: index + endsAt,
      }),
    ),
  );
}

/** The region of that name, if the numbering plans have it. */
function phoneRegion(name: string): CountryCode | undefined {
  return isSupportedCountry(name) ? name : undefined;
}

/** True for a value that has as many digits as telephone numbers have, and nothing else that they have not. */
export function looksLikePhone(value: string): boolean {
  const digits = value.replace(/\D/gu, "").length;
  return digits >= 6 && digits <= 15 && /^[+(\d][\d ().x/+-]{5,30}$/u.test(value);
}
