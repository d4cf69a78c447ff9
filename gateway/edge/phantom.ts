/** The answer to a call that was decided as a phantom: of the same form, and as late, as a server's. */

import type { Decided } from "../pipeline/call.ts";
import { resultResponse } from "../wire/rpc-error.ts";
import type { AgentAnswer, AgentRequest } from "./agent-request.ts";
import { concluding, finish, type ReceiptDeps, recordedAnswer, withheld } from "./call-receipts.ts";

/** Answers without any server. */
export function phantomAnswer(
  deps: ReceiptDeps,
  request: AgentRequest,
  decided: Extract<Decided, { action: "phantom" }>,
): Promise<AgentAnswer> {
  return concluding(deps, decided, () => invented(deps, request, decided));
}

async function invented(
  deps: ReceiptDeps,
  request: AgentRequest,
  decided: Extract<Decided, { action: "phantom" }>,
): Promise<AgentAnswer> {
  await decided.answer.wait();
  const { result } = decided.answer;
  // SPEC MCP 2026-07-28: every result says what kind of result it is.
  const whole = request.era === "modern" ? { resultType: "complete", ...result } : result;
  const returned = resultResponse(request.idText, JSON.stringify(whole));
  const kept = await finish(deps, decided, {
    status: "phantom",
    effect: "none",
    returned,
    upstreamUs: 0,
    uninspectedBytes: 0,
  });
  return kept === undefined ? withheld(request, decided.receipt) : recordedAnswer(request, decided.receipt, kept);
}
