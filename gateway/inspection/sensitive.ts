/** All recognisers of secrets and personal data on one text, each place under the rule that knows it best. */

import { type Hit, Places, type Recogniser } from "./hit.ts";
import { findByKey, findPhonesOf } from "./key-hints.ts";
import { findCards } from "./pii-card.ts";
import { findEmails } from "./pii-email.ts";
import { findIbans } from "./pii-iban.ts";
import { findIps } from "./pii-ip.ts";
import { findUsSsns } from "./pii-us-ssn.ts";
import { findJwts } from "./secret-jwt.ts";
import { findPrefixedSecrets } from "./secret-prefixed.ts";
import { findPrivateKeys } from "./secret-private-key.ts";
import { findCrcTokens } from "./secret-token-crc32.ts";
import { findUrlCredentials } from "./secret-url.ts";

/** What recognisers may know beside the text. */
export interface TextContext {
  /** Name of the member that the text is the value of. */
  readonly key?: string | undefined;
  /** ISO 3166 code of the country whose national telephone numbers are looked for. */
  readonly phoneRegion?: string;
}

/** In the order of how much a form says: a token with a checksum, before a random value under a telling name. */
const BY_FORM: readonly Recogniser[] = [
  findPrivateKeys,
  findCrcTokens,
  findPrefixedSecrets,
  findJwts,
  findUrlCredentials,
  findCards,
  findIbans,
  findUsSsns,
  findEmails,
  findIps,
];

/** Without one of these none of the recognisers finds anything: a token may be of letters alone, and is then a long run of them. */
const NEEDED = /[\d@:=]|eyJ|-----BEGIN |[A-Za-z_-]{20}/u;

/** Finds secrets and personal data; no two places overlap, and they come in order. */
export function findSensitive(text: string, context: TextContext): readonly Hit[] {
  if (context.key === undefined && !NEEDED.test(text)) return [];
  const places = new Places(text.length);
  for (const recognise of BY_FORM) places.take(recognise(text));
  places.take(findByKey(text, context.key));
  places.take(findPhonesOf(context.phoneRegion)(text));
  return places.kept();
}
