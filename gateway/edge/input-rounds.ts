/** What becomes of an answer that asks for input: it goes to the agent if every question may, with a sealed state. */

import { isJsonObject } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Era } from "../../kernel/receipt/vocabulary.ts";
import type { CallRefusal, InboundCall } from "../pipeline/call.ts";
import type { UpstreamReply } from "../upstream/upstream.ts";
import { RPC } from "../wire/rpc-error.ts";
import type { AgentRequest } from "./agent-request.ts";
import type { ReceiptDeps } from "./call-receipts.ts";
import { decideQuestions, type InputRequired, readInputRequired } from "./input-required.ts";
import { type Ended, refusedOutcome } from "./outcome.ts";
import { MAX_ROUNDS } from "./round-state.ts";

type Answered = Extract<UpstreamReply, { type: "answered" }>;

/** A round whose answer asks for input. */
export interface InputRound {
  readonly call: InboundCall;
  readonly reply: Answered;
  readonly input: InputRequired | { readonly reason: ReasonCode };
  /** Of this round, from 0. */
  readonly index: number;
  /** Makes the agent's answer around the server's state. */
  readonly passOn: (upstreamState: string | null) => Uint8Array;
  readonly makeError: (code: number, reason: ReasonCode, text: string) => Uint8Array;
}

/** The methods whose results may ask for input. */
export const ASKING: ReadonlySet<string> = new Set(["tools/call", "prompts/get", "resources/read"]);

/** The input that an answer asks for; undefined if it is no such answer, or if this agent cannot be asked so. */
export function inputOf(
  reply: UpstreamReply,
  serverEra: Era,
  { era, message, capabilities, legs }: AgentRequest,
): { readonly reply: Answered; readonly input: InputRound["input"] } | undefined {
  const isAsked = era === "modern" || legs !== undefined;
  if (reply.type !== "answered" || serverEra === "legacy" || !isAsked) return undefined;
  const { result } = reply.body;
  if (!isJsonObject(result) || result["resultType"] !== "input_required") return undefined;
  if (!ASKING.has(message.method)) return { reply, input: { reason: "upstream.protocol" } };
  return { reply, input: readInputRequired(reply.text, result, capabilities.value) };
}

/** How a round ends whose questions may not be asked; undefined if they may. */
export function inputFault({ input, reply, index, makeError }: Omit<InputRound, "call" | "passOn">): Ended | undefined {
  if ("reason" in input) {
    const bytes = makeError(RPC.internal, input.reason, "the server's answer cannot be passed on");
    return refusedOutcome("upstream_error", RPC.internal, reply.bytes, bytes);
  }
  if (index >= MAX_ROUNDS) {
    const bytes = makeError(RPC.internal, "state.rounds", "the server asks for input once more than it may");
    return refusedOutcome("blocked", RPC.internal, reply.bytes, bytes);
  }
  return undefined;
}

/** @returns how the round ended; "withheld" if a receipt of a question could not be kept */
export async function settleInput(deps: ReceiptDeps, round: InputRound): Promise<Ended | "withheld"> {
  const { input, reply } = round;
  const fault = inputFault(round);
  if (fault !== undefined || "reason" in input) return fault ?? "withheld";
  const refused = await decideQuestions(deps, round.call, input.questions);
  if (refused === "withheld") return "withheld";
  if (refused !== undefined) return blocked(round, refused);
  const bytes = round.passOn(input.state);
  const outcome = { status: "input_required", effect: "unknown", received: reply.bytes, returned: bytes } as const;
  return { bytes, outcome: { ...outcome, uninspectedBytes: 0 } };
}

function blocked({ makeError, reply }: InputRound, { rpcCode, reason, message }: CallRefusal): Ended {
  return refusedOutcome("blocked", rpcCode, reply.bytes, makeError(rpcCode, reason, message));
}
