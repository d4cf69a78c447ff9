/**
 * Names that say what their values are, and a quick look whether a name may be one of them: most are not, and the patterns that know
 * for sure need not be asked.
 */

import { invariant } from "../../kernel/errors.ts";

/** Alternatives of patterns over names in snake case (`key-hints.ts`). */
export const SSN_NAMES = "ssn|social_security|social_security_number|ssn_number|tax_id|tin|itin";
export const PHONE_NAMES = "phone|telephone|mobile|cell|fax|msisdn|phone_number|tel";
export const PERSONAL_NAMES: string =
  "ssn|social_security|dob|date_of_birth|birth_date|birthdate|birthday|iban|passport|passport_number|national_id|salary|income|" +
  "diagnosis|medical_record|mrn|blood_type|religion|ethnicity|sexual_orientation|drivers_license|driver_license|license_number|" +
  "card_number|credit_card|cvv|cvc|account_number|bank_account|patient_name|patient_id|maiden_name";
export const TELLING_NAMES: string =
  "api_key|api_keys|apikeys|apikey|secret|secrets|token|tokens|password|passwd|pwd|passphrase|access_key|private_key|secret_key|" +
  "signing_key|encryption_key|client_secret|credential|credentials|auth|authorization|bearer|key";

/** Their first words: a name that is none of them has none of these in it. */
const FIRST_WORDS: readonly string[] = [
  ...new Set(
    [SSN_NAMES, PHONE_NAMES, PERSONAL_NAMES, TELLING_NAMES].flatMap((names) => names.split("|").map(firstWord)),
  ),
];

function firstWord(name: string): string {
  const word = name.split("_", 1).join();
  invariant(/^[a-z]{3,16}$/u.test(word), `a name begins with a word of letters, not as in ${name}`);
  return word;
}

const LETTERS = 26;
const A = 0x61;
const Z = 0x7a;

/** Row of each node: the next node for each letter. Node 0 is the start; 0 as the next one is none. */
const { nodes: NODES, isEnd: IS_END } = trieOf(FIRST_WORDS);

function trieOf(all: readonly string[]): { readonly nodes: Uint16Array; readonly isEnd: Uint8Array } {
  const size = all.reduce((sum, word) => sum + word.length, 1);
  const nodes = new Uint16Array(size * LETTERS);
  const isEnd = new Uint8Array(size);
  let count = 1;
  for (const word of all) {
    let node = 0;
    for (let at = 0; at < word.length; at += 1) {
      const cell = node * LETTERS + word.charCodeAt(at) - A;
      if (nodes[cell] === 0) nodes[cell] = count++;
      node = nodes[cell] ?? 0;
    }
    isEnd[node] = 1;
  }
  return { nodes, isEnd };
}

/**
 * False only if the part of a text is no telling name and holds none: no word of it, as letter case and other characters part
 * words, is the first one of such a name.
 */
export function mayHint(text: string, from: number = 0, to: number = text.length): boolean {
  let before = 0;
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    if (isLetter(code) && (!isWord(before) || (isUpper(code) && !isUpper(before))) && isFirstWord(text, at, to)) {
      return true;
    }
    before = code;
  }
  return false;
}

/** True if one of the words stands there, and ends where a word may end. */
function isFirstWord(text: string, from: number, to: number): boolean {
  let node = 0;
  for (let at = from; at < to; at += 1) {
    const lower = text.charCodeAt(at) | 0x20;
    if (lower < A || lower > Z) return false;
    node = NODES[node * LETTERS + lower - A] ?? 0;
    if (node === 0) return false;
    if (IS_END[node] === 1 && (at + 1 === to || isWordEnd(text.charCodeAt(at + 1)))) return true;
  }
  return false;
}

function isWordEnd(next: number): boolean {
  return !isWord(next) || isUpper(next);
}

function isWord(code: number): boolean {
  return isLetter(code) || (code >= 0x30 && code <= 0x39);
}

function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= A && lower <= Z;
}

function isUpper(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}
