/**
 * A modern server's answer that asks for input first (SEP-2322): what it asks for must be what the agent declared, and is
 * decided by policy like a call, each question with receipts of its own.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { CallRefusal, InboundCall, InputKind } from "../pipeline/call.ts";
import { rawAt } from "../wire/spans.ts";
import { concluding, decide, finish, type ReceiptDeps } from "./call-receipts.ts";

/** One question of a server. */
export interface InputQuestion {
  /** Names it in the answer. */
  readonly key: string;
  readonly kind: InputKind;
  readonly method: string;
  readonly params: JsonObject;
  /** The question as the server wrote it. */
  readonly text: string;
}

/** What an answer asks for. */
export interface InputRequired {
  readonly questions: readonly InputQuestion[];
  /** The server's state, null if it gives none. */
  readonly state: string | null;
}

const MAX_QUESTIONS = 16;

const KINDS: ReadonlyMap<string, { readonly kind: InputKind; readonly capability: string }> = new Map([
  ["sampling/createMessage", { kind: "sample", capability: "sampling" }],
  ["elicitation/create", { kind: "elicit", capability: "elicitation" }],
  ["roots/list", { kind: "roots", capability: "roots" }],
] as const);

/** What kind of question a server's method is; undefined for every other method. */
export function inputKind(method: string): InputKind | undefined {
  return KINDS.get(method)?.kind;
}

/** True if the agent declared that it takes this question. */
export function isDeclared(method: string, params: JsonObject, capabilities: JsonObject): boolean {
  const found = KINDS.get(method);
  const declared = found === undefined ? undefined : capabilities[found.capability];
  if (!isJsonObject(declared)) return false;
  // SPEC MCP 2025-11-25: an elicitation capability without modes is for forms.
  return method !== "elicitation/create" || params["mode"] !== "url" || declared["url"] !== undefined;
}

/** Reads the result of an answer with `resultType` `input_required`. */
export function readInputRequired(
  text: string,
  result: JsonObject,
  capabilities: JsonObject,
): InputRequired | { readonly reason: ReasonCode } {
  const { inputRequests = {}, requestState = null } = result;
  const isState = requestState === null || typeof requestState === "string";
  if (!isState || !isJsonObject(inputRequests)) return { reason: "upstream.protocol" };
  const entries = Object.entries(inputRequests);
  // SPEC SEP-2322: at least one of the two; an answer that asks nothing and gives no state leads nowhere.
  if (entries.length > MAX_QUESTIONS || (entries.length === 0 && requestState === null))
    return { reason: "upstream.protocol" };
  const questions = entries.map(([key, value]) => readQuestion(text, key, value));
  const known = questions.filter((question) => question !== undefined);
  if (known.length < questions.length) return { reason: "upstream.protocol" };
  const isTaken = known.every(({ method, params }) => isDeclared(method, params, capabilities));
  return isTaken ? { questions: known, state: requestState } : { reason: "upstream.undeclared-input" };
}

function readQuestion(text: string, key: string, value: JsonValue | undefined): InputQuestion | undefined {
  if (!isJsonObject(value)) return undefined;
  const { method, params = {} } = value;
  const kind = typeof method === "string" ? inputKind(method) : undefined;
  if (kind === undefined || typeof method !== "string" || !isJsonObject(params)) return undefined;
  return { key, kind, method, params, text: rawAt(text, ["result", "inputRequests", key]) ?? "" };
}

/** The call that puts a question to the agent: what goes to the agent is what the server wrote. */
export function questionCall(call: InboundCall, { kind, method, params, text }: InputQuestion): InboundCall {
  const { transport, era, revision } = call.wire;
  const bytes = formatUtf8(text);
  return {
    ...call,
    wire: {
      transport,
      method,
      ...(era === undefined ? {} : { era }),
      ...(revision === undefined ? {} : { revision }),
    },
    target: { kind, name: method },
    params,
    received: bytes,
    toSend: bytes,
  };
}

/**
 * Decides every question of an answer. A question that is let through has its outcome at once: it goes out inside the
 * answer, and what the agent says to it comes with the next round.
 *
 * @returns the refusal of the first that is denied; "withheld" if a receipt could not be kept, or if nothing may be asked
 */
export async function decideQuestions(
  deps: ReceiptDeps,
  call: InboundCall,
  questions: readonly InputQuestion[],
): Promise<CallRefusal | "withheld" | undefined> {
  for (const question of questions) {
    const asked = questionCall(call, question);
    const decided = await decide(deps, asked);
    if (decided === undefined) return "withheld";
    if (decided.action === "refuse") return decided.refusal;
    const { toSend: bytes } = asked;
    const outcome = { status: "input_required", effect: "done", received: bytes, returned: bytes } as const;
    const kept = await concluding(deps, decided, async () => {
      // Nothing is asked for a subject in quarantine.
      if (decided.action === "phantom") return undefined;
      return finish(deps, decided, { ...outcome, upstreamUs: 0, uninspectedBytes: 0 });
    });
    if (kept === undefined) return "withheld";
  }
  return undefined;
}
