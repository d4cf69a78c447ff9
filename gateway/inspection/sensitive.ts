/** All recognisers of secrets and personal data on one text, each place under the rule that knows it best. */

import { mayHint } from "./hint-words.ts";
import { type Hit, NO_HITS, Places, type Recogniser } from "./hit.ts";
import { findByKey } from "./key-hints.ts";
import { findCards } from "./pii-card.ts";
import { findEmails } from "./pii-email.ts";
import { findIbans } from "./pii-iban.ts";
import { findIpV4s, findIpV6s } from "./pii-ip.ts";
import { findPhones } from "./pii-phone.ts";
import { findUsSsns } from "./pii-us-ssn.ts";
import { findJwts } from "./secret-jwt.ts";
import { findPrefixedSecrets } from "./secret-prefixed.ts";
import { findPrivateKeys } from "./secret-private-key.ts";
import { findCrcTokens } from "./secret-token-crc32.ts";
import { findUrlCredentials } from "./secret-url.ts";
import { MARK, type Marks, marksOf } from "./text-marks.ts";

/** What recognisers may know beside the text. */
export interface TextContext {
  /** Name of the member that the text is the value of. */
  readonly key?: string | undefined;
  /** ISO 3166 code of the country whose national telephone numbers are looked for. */
  readonly phoneRegion?: string | undefined;
}

/** A recogniser, and what stands in every text in which it finds something: all of these marks. */
interface Form {
  readonly marks: Marks;
  readonly find: Recogniser;
}

/** In the order of how much a form says: a token with a checksum, before a random value under a telling name. */
export const FORMS: readonly Form[] = [
  { marks: MARK.pem, find: findPrivateKeys },
  { marks: MARK.longToken, find: findCrcTokens },
  { marks: MARK.token, find: findPrefixedSecrets },
  { marks: MARK.jwt, find: findJwts },
  { marks: MARK.url | MARK.at, find: findUrlCredentials },
  { marks: MARK.card, find: findCards },
  { marks: MARK.iban, find: findIbans },
  { marks: MARK.ssn, find: findUsSsns },
  { marks: MARK.at, find: findEmails },
  { marks: MARK.ipv4, find: findIpV4s },
  { marks: MARK.ipv6, find: findIpV6s },
];

/** Without one of these none of them finds anything in a text without a name, nor is there a named value in it. */
const ANY: Marks = FORMS.reduce((marks, form) => marks | form.marks, MARK.pair | MARK.separator | MARK.phone);
/** Columns of short words alone are not looked at. */
const WORTH = /[\d@:=]|eyJ|-----BEGIN |[A-Za-z_-]{20}/u;

/** Finds secrets and personal data; no two places overlap, and they come in order. */
export function findSensitive(text: string, context: TextContext, marks: Marks = marksOf(text)): readonly Hit[] {
  const { key, phoneRegion } = context;
  const isNational = phoneRegion !== undefined && (marks & MARK.digit) !== 0;
  if ((marks & ANY) === 0 && !isNational && (key === undefined || !mayHint(key))) return NO_HITS;
  const places = new Places(text.length);
  for (const { marks: needed, find } of FORMS) {
    if ((marks & needed) === needed) places.take(find(text));
  }
  places.take(findByKey(text, key, hasColumns(text, key, marks) ? marks : marks & ~MARK.separator));
  if (isNational || (marks & MARK.phone) !== 0) places.take(findPhones(text, phoneRegion));
  return places.kept();
}

function hasColumns(text: string, key: string | undefined, marks: Marks): boolean {
  const isTable = (marks & MARK.newline) !== 0 && (marks & MARK.separator) !== 0;
  return isTable && (key !== undefined || WORTH.test(text));
}
