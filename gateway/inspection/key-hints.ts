/**
 * `pii.hint`, `secret.aws-secret`, `secret.high-entropy`, and the bar that a name lowers: what a member or column is called says
 * what its value is, where the value's own form does not.
 */

import { entropyBits, isPlaceholder } from "./entropy.ts";
import { mayHint, PERSONAL_NAMES, PHONE_NAMES, SSN_NAMES, TELLING_NAMES } from "./hint-words.ts";
import { type Hit, NO_HITS } from "./hit.ts";
import { type KeyedValue, keyedValues } from "./keyed-values.ts";
import { looksLikePhone } from "./pii-phone.ts";
import { isBareUsSsn } from "./pii-us-ssn.ts";
import type { Marks } from "./text-marks.ts";

const words = (list: string): RegExp => new RegExp(`(?:^|_)(?:${list})(?:_|$)`, "u");

const SSN = words(SSN_NAMES);
const PHONE = words(PHONE_NAMES);
const PERSONAL = words(PERSONAL_NAMES);
const TELLING = words(TELLING_NAMES);
/** Any of these: what most names are not. */
const HINTING = new RegExp([SSN, PHONE, PERSONAL, TELLING].map(({ source }) => source).join("|"), "u");
/** Names of values that are random and open nothing. */
const PUBLIC = words(
  "page|cursor|next|continuation|sync|hash|digest|sha1|sha256|sha512|md5|checksum|fingerprint|integrity|etag|public|commit|uuid|guid|id|csrf|nonce",
);
const AWS = words("aws|amazon");

const VALUE = /^[A-Za-z0-9+/=_.~-]{32,512}$/u;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu;
const INTEGRITY = /^sha\d{3}-/u;

/** Finds values by their names: in the text itself, and of the text if it stands under a name. */
export function findByKey(text: string, key: string | undefined, marks: Marks): readonly Hit[] {
  const own = key === undefined || !mayHint(key) ? NO_HITS : judge({ key, value: text, start: 0 });
  const named = keyedValues(text, marks, mayHint);
  return named.length === 0 ? own : [...own, ...named.flatMap(judge)];
}

function judge({ key, value, start }: KeyedValue): readonly Hit[] {
  const name = snakeCase(key);
  if (!HINTING.test(name)) return [];
  const rule = secretRule(name, value) ?? personalRule(name, value);
  return rule === undefined
    ? []
    : [{ rule, severity: rule === "pii.hint" ? "info" : "warn", start, end: start + value.length }];
}

function secretRule(name: string, value: string): "secret.aws-secret" | "secret.high-entropy" | undefined {
  if (!TELLING.test(name) || PUBLIC.test(name) || !VALUE.test(value)) return undefined;
  if (UUID.test(value) || INTEGRITY.test(value) || isPlaceholder(value)) return undefined;
  const least = /^[0-9a-f]{32,512}$/iu.test(value) ? 3 : 4;
  if (entropyBits(value) < least) return undefined;
  return AWS.test(name) && /^[A-Za-z0-9+/]{40}$/u.test(value) ? "secret.aws-secret" : "secret.high-entropy";
}

function personalRule(name: string, value: string): "pii.us_ssn" | "pii.phone" | "pii.hint" | undefined {
  if (SSN.test(name) && isBareUsSsn(value.trim())) return "pii.us_ssn";
  if (PHONE.test(name) && looksLikePhone(value.trim()) && !value.startsWith("+")) return "pii.phone";
  return PERSONAL.test(name) && value.trim() !== "" ? "pii.hint" : undefined;
}

/** True for a name that says its value is personal or secret. */
export function isSensitiveName(key: string): boolean {
  const name = snakeCase(key);
  return PERSONAL.test(name) || PHONE.test(name) || (TELLING.test(name) && !PUBLIC.test(name));
}

/** A name that is written so already. */
const PLAIN_NAME = /^[a-z0-9]*$/u;

/** `dateOfBirth`, `Date Of Birth` and `date-of-birth` are one name. */
export function snakeCase(key: string): string {
  if (PLAIN_NAME.test(key)) return key;
  return key
    .replace(/([a-z0-9])([A-Z])/gu, "$1_$2")
    .replace(/[^A-Za-z0-9]{1,64}/gu, "_")
    .toLowerCase();
}
