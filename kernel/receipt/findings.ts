/** The closed list of finding codes, and the two open families whose names the operator's files choose. */

import { FormatError } from "../errors.ts";
import { mapped, type Shape, string } from "../shape.ts";

/** Rules that the gateway itself knows, sorted, with what each one found. */
export const FINDING_CODES = {
  "catalog.pagination": "a list has too many pages or repeats a cursor",
  "catalog.too-large": "a server lists more definitions than the limit",
  "drift.added": "a definition that is not in the approved catalog",
  "drift.changed": "a definition whose meaning to a model differs from the approved one",
  "drift.cosmetic": "a definition that differs from the approved one in parts that no model sees",
  "drift.removed": "an approved definition that the server lists no more",
  "inj.address": "text addressed to the model in a place meant for description",
  "inj.authority": "text that declares itself authoritative or above the user",
  "inj.conceal": "text that asks to hide something from the user or from a log",
  "inj.context-param": "a parameter that asks for context instead of input",
  "inj.encoded": "an encoded run that decodes to text on which another rule fires",
  "inj.exfil": "text that asks to send conversation, context or credentials somewhere",
  "inj.ignore": "text that asks to ignore earlier instructions",
  "inj.markup": "markup that hides text, runs script or fetches with data in the address",
  "inj.path": "text that asks for secrets by their place",
  "inj.precondition": "text that makes another action a condition of the call",
  "inj.tag": "pseudo-system tags and role markers",
  "inj.tool": "text that steers the use of another tool",
  "inspect.budget": "inspection ran out of its time and saw only a part",
  "name.charset": "a name with a character outside `[A-Za-z0-9_.-]`",
  "name.clone": "the same name and definition on two servers",
  "name.length": "a name that is empty or longer than the limit",
  "name.look-alike": "a name that reads like another one of the catalog",
  "pii.card": "a payment card number",
  "pii.email": "an e-mail address",
  "pii.hint": "a value whose key names personal data",
  "pii.iban": "a bank account number",
  "pii.ip": "an IP address",
  "pii.phone": "a telephone number",
  "pii.us_ssn": "a social security number of the United States",
  "schema.contradiction": "annotations that contradict parameters or text",
  "schema.header": "an invalid header annotation, or one on a property that looks sensitive",
  "schema.remote-ref": "a schema that refers to a network address",
  "secret.anthropic-key": "an API key of Anthropic",
  "secret.aws-access-key": "an access key id of AWS",
  "secret.aws-secret": "a secret access key of AWS",
  "secret.gitlab-token": "a token of GitLab",
  "secret.google-api-key": "an API key of Google",
  "secret.high-entropy": "a random-looking value after a telling key",
  "secret.huggingface-token": "a token of Hugging Face",
  "secret.jwt": "a JSON Web Token",
  "secret.openai-key": "an API key of OpenAI",
  "secret.private-key": "a private key in PEM",
  "secret.slack-token": "a token of Slack",
  "secret.stripe-key": "a key of Stripe",
  "secret.token-crc32": "a token whose built-in checksum holds",
  "secret.url-credentials": "a URL with a password in it",
  "supply.install": "text that asks to install or update something",
  "supply.unpinned": "a package without a pinned version",
  "surplus.bytes": "a result with more bytes than its tool is declared to need",
  "surplus.items": "items of a list beyond those that its tool is declared to need",
  "surplus.undeclared": "members that the pinned schema does not declare",
  "text.long": "a description above the limit",
  "unicode.ansi": "a terminal control sequence",
  "unicode.bidi": "a character that reorders text",
  "unicode.bidi-mark": "a direction mark that no right-to-left letter explains",
  "unicode.combining": "a pile of combining marks",
  "unicode.compatibility": "letters that normalization turns into ASCII",
  "unicode.confusable": "a name that looks like an ASCII one and is not",
  "unicode.control": "a control character",
  "unicode.hidden": "a rule fires only after invisible characters are removed",
  "unicode.invisible-operator": "an invisible operator or filler",
  "unicode.mixed-script": "a word that mixes scripts",
  "unicode.private-use": "a private-use character",
  "unicode.tag": "invisible tag characters",
  "unicode.unassigned": "a noncharacter",
  "unicode.variation": "variation selectors that select nothing",
  "unicode.zero-width": "a zero-width character that no script explains",
  "upstream.unknown-notification": "a notification of the server that MCP does not define",
} as const;

/** A code of the list, or `op.<rule>` from a rule file of the policy bundle, or `ext.<rule>` from an external detector. */
export type FindingCode = keyof typeof FINDING_CODES | `op.${string}` | `ext.${string}`;

const OPEN = /^(?:op|ext)\.[a-z0-9][a-z0-9_.-]{0,58}$/u;

/** True for a code of the list and for names of the two open families, at most 64 characters. */
export function isFindingCode(text: string): text is FindingCode {
  return Object.hasOwn(FINDING_CODES, text) || (OPEN.test(text) && !text.endsWith("\n"));
}

/** A finding code in JSON. */
export const findingCodeShape: Shape<FindingCode> = mapped(string({ maxLength: 64 }), (text) => {
  if (isFindingCode(text)) return text;
  throw new FormatError("ERR_SHAPE", "want a finding code of the closed list, or op.<rule> or ext.<rule>");
});
