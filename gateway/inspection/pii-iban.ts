/** `pii.iban`: bank account numbers by country, length and check digits (ISO 13616-1), in one run or in groups of four. */

import type { Hit } from "./hit.ts";

/** Length by country code (SWIFT IBAN registry, release 99). */
const LENGTHS: ReadonlyMap<string, number> = new Map(
  (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 " +
    "FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 " +
    "LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 " +
    "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
  )
    .split(" ")
    .map((row): [string, number] => [row.slice(0, 2), Number(row.slice(2))]),
);

const START = /(?<![\p{L}\p{N}_])[A-Za-z]{2}\d{2}/gu;

/** Finds account numbers; cost: at most 42 characters behind each candidate. */
export function findIbans(text: string): readonly Hit[] {
  return [...text.matchAll(START)].flatMap(({ 0: head, index }) => {
    const length = LENGTHS.get(head.slice(0, 2).toUpperCase());
    const end = length === undefined ? undefined : endOf(text, index, length);
    if (end === undefined || !hasCheckDigits(text.slice(index, end))) return [];
    return [{ rule: "pii.iban", severity: "warn", start: index, end } satisfies Hit];
  });
}

/** The offset behind `length` letters and digits, which stand together or in groups of four. */
function endOf(text: string, start: number, length: number): number | undefined {
  let at = start;
  const isGrouped = text.charAt(start + 4) === " ";
  for (let count = 0; count < length; count += 1) {
    if (isGrouped && count > 0 && count % 4 === 0) {
      if (text.charAt(at) !== " ") return undefined;
      at += 1;
    }
    if (!/[A-Za-z0-9]/u.test(text.charAt(at))) return undefined;
    at += 1;
  }
  return /[\p{L}\p{N}_]/u.test(text.charAt(at)) ? undefined : at;
}

/** ISO 7064 mod 97-10 over the number with its first four characters moved to the end. */
function hasCheckDigits(text: string): boolean {
  const plain = text.replaceAll(" ", "").toUpperCase();
  let rest = 0;
  for (const character of `${plain.slice(4)}${plain.slice(0, 4)}`) {
    const value = Number.parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}
