/** The closed list of finding codes, and the two open families whose names the operator's files choose. */

import { FormatError } from "../errors.ts";
import { mapped, type Shape, string } from "../shape.ts";

/** Rules that the gateway itself knows, sorted. */
export const FINDING_CODES = [
  "catalog.pagination",
  "catalog.too-large",
  "drift.added",
  "drift.changed",
  "drift.cosmetic",
  "drift.removed",
  "inj.address",
  "inj.authority",
  "inj.conceal",
  "inj.context-param",
  "inj.encoded",
  "inj.exfil",
  "inj.ignore",
  "inj.markup",
  "inj.path",
  "inj.precondition",
  "inj.tag",
  "inj.tool",
  "inspect.budget",
  "name.charset",
  "name.clone",
  "name.length",
  "name.look-alike",
  "pii.card",
  "pii.email",
  "pii.hint",
  "pii.iban",
  "pii.ip",
  "pii.phone",
  "pii.us_ssn",
  "schema.contradiction",
  "schema.header",
  "schema.remote-ref",
  "secret.anthropic-key",
  "secret.aws-access-key",
  "secret.aws-secret",
  "secret.gitlab-token",
  "secret.google-api-key",
  "secret.high-entropy",
  "secret.huggingface-token",
  "secret.jwt",
  "secret.openai-key",
  "secret.private-key",
  "secret.slack-token",
  "secret.stripe-key",
  "secret.token-crc32",
  "secret.url-credentials",
  "supply.install",
  "supply.unpinned",
  "surplus.undeclared",
  "text.long",
  "unicode.ansi",
  "unicode.bidi",
  "unicode.bidi-mark",
  "unicode.combining",
  "unicode.compatibility",
  "unicode.confusable",
  "unicode.control",
  "unicode.hidden",
  "unicode.invisible-operator",
  "unicode.mixed-script",
  "unicode.private-use",
  "unicode.tag",
  "unicode.unassigned",
  "unicode.variation",
  "unicode.zero-width",
  "upstream.unknown-notification",
] as const;

/** A code of the list, or `op.<rule>` from a rule file of the policy bundle, or `ext.<rule>` from an external detector. */
export type FindingCode = (typeof FINDING_CODES)[number] | `op.${string}` | `ext.${string}`;

const KNOWN: ReadonlySet<string> = new Set(FINDING_CODES);
const OPEN = /^(?:op|ext)\.[a-z0-9][a-z0-9_.-]{0,58}$/u;

/** True for a code of the list and for names of the two open families, at most 64 characters. */
export function isFindingCode(text: string): text is FindingCode {
  return KNOWN.has(text) || (OPEN.test(text) && !text.endsWith("\n"));
}

/** A finding code in JSON. */
export const findingCodeShape: Shape<FindingCode> = mapped(string({ maxLength: 64 }), (text) => {
  if (isFindingCode(text)) return text;
  throw new FormatError("ERR_SHAPE", "want a finding code of the closed list, or op.<rule> or ext.<rule>");
});
