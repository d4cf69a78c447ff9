/**
 * What the gateway alone says of a call (docs/gateway.md#errors): a receipt, a reason, a policy, that it refused. No server says
 * that in its name: such members and codes are taken out of what a server answers.
 */

import { OUR_PREFIX } from "./meta-keys.ts";
import { RPC } from "./rpc-error.ts";
import { applyEdits, type Edit, editMembers, type MemberSpan, memberSpans, type Span, spanOf } from "./spans.ts";

const RESULT_META = ["result", "_meta"];
const ERROR = ["error"];
const NO_MEMBERS = {};

/** A response of a server without them; every other byte as it came. */
export function withoutOurWords(text: string): string {
  const edits = [...editsOfMeta(text), ...editsOfError(text)];
  return edits.length === 0 ? text : applyEdits(text, edits);
}

/** Most answers have neither member. A name may be spelled with escapes. */
function mayHold(text: string, name: string): boolean {
  return text.includes(`"${name}"`) || text.includes("\\u");
}

function editsOfMeta(text: string): readonly Edit[] {
  return mayHold(text, "_meta") ? editsWithout(text, spanOf(text, RESULT_META), isOurs) : NO_EDITS;
}

function editsOfError(text: string): readonly Edit[] {
  const span = mayHold(text, "error") ? spanOf(text, ERROR) : undefined;
  if (span === undefined || text[span.start] !== "{") return NO_EDITS;
  return memberSpans(text, span.start).flatMap((member) => editsOfMember(text, member));
}

function editsOfMember(text: string, { key, start, end }: MemberSpan): readonly Edit[] {
  if (key === "data") return editsWithout(text, { start, end }, isOursInData);
  const isOther = key === "code" && !isServersCode(text.slice(start, end));
  return isOther ? [{ start, end, text: String(RPC.internal) }] : NO_EDITS;
}

const NO_EDITS: readonly Edit[] = [];

/** Nothing if there is no object, or none of its members goes. */
function editsWithout(text: string, span: Span | undefined, drop: (key: string) => boolean): readonly Edit[] {
  if (span === undefined || text[span.start] !== "{") return NO_EDITS;
  const edit = editMembers(text, span, NO_MEMBERS, drop);
  return edit === undefined ? NO_EDITS : [edit];
}

function isOurs(key: string): boolean {
  return key.startsWith(OUR_PREFIX);
}

/** Agents look for the receipt of a refusal there. */
function isOursInData(key: string): boolean {
  return key === "receipt" || isOurs(key);
}

/** Codes of the table of errors: a decision, an approval with its page, a stop, a limit. */
const FIRST_CODE = -31_006;
const LAST_CODE = -31_001;

/**
 * True for an integer of 32 bits, in any spelling, that is none of ours. SPEC JSON-RPC 2.0 §5.1: a code is an integer. Receipts have
 * another as an internal error, and agents that hold answers to the specification would wait on.
 */
function isServersCode(json: string): boolean {
  const code = Number(json);
  return (code | 0) === code && (code < FIRST_CODE || code > LAST_CODE);
}
