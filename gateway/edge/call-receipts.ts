/** Decisions and outcomes as the edge keeps them, and the answers where one is refused or cannot be kept. */

import { errorCode } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type {
  CallOutcome,
  CallRefusal,
  Decided,
  DecisionTicket,
  InboundCall,
  Pipeline,
  ReceiptRef,
} from "../pipeline/call.ts";
import { OUR_META } from "../wire/meta-keys.ts";
import { errorResponse, httpStatusOf, RPC, resultResponse } from "../wire/rpc-error.ts";
import { type AgentAnswer, type AgentRequest, formatReceiptRef } from "./agent-request.ts";

/** What keeps receipts. */
export interface ReceiptDeps {
  readonly pipeline: Pipeline;
  readonly logger: Logger;
}

/** A decision that lets a call through. */
export type Forwarded = Extract<Decided, { action: "forward" }>;

/** @returns undefined if no receipt could be kept: then nothing is sent, in any mode */
export function decide({ pipeline, logger }: ReceiptDeps, call: InboundCall): Promise<Decided | undefined> {
  return pipeline.decide(call).catch((error: unknown) => {
    logger.error(
      { code: errorCode(error), server: call.serverId },
      "no decision receipt could be kept; nothing was sent",
    );
    return undefined;
  });
}

/** @returns what was recorded; undefined if the outcome could not be kept: then the answer is withheld */
export function finish(
  { pipeline, logger }: ReceiptDeps,
  { ticket }: Pick<Forwarded, "ticket">,
  outcome: CallOutcome,
): Promise<CallOutcome | undefined> {
  return pipeline.finish(ticket, outcome).catch((error: unknown) => {
    logger.error(
      { code: errorCode(error), call: ticket.callId },
      "no outcome receipt could be kept; the answer is withheld",
    );
    return undefined;
  });
}

/**
 * Runs what becomes of a decision. However that ends, the call has an outcome then: one that was not finished is recorded as one
 * whose end nobody knows.
 */
export function concluding<T>(deps: ReceiptDeps, decided: Decided, run: () => Promise<T>): Promise<T> {
  return concludingAll(deps, [decided], run);
}

/** As `concluding`, of several decisions. */
export async function concludingAll<T>(
  deps: ReceiptDeps,
  decided: readonly Decided[],
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run();
  } finally {
    for (const one of decided) {
      const lost = letGo(deps, one);
      if (lost !== undefined) await lost;
    }
  }
}

/** Lets go of a decided call that has no outcome; undefined of every other, which is nearly all of them. */
function letGo({ pipeline, logger }: ReceiptDeps, decided: Decided): Promise<void> | undefined {
  if (decided.action === "refuse") return undefined;
  const { ticket } = decided;
  return pipeline.abandon(ticket)?.catch((error: unknown) => {
    const code = errorCode(error);
    logger.error({ code, call: ticket.callId }, "no outcome receipt of a call that was cut off could be kept");
  });
}

/** The end of a task, as `finish`. */
export async function finishTask(
  { pipeline, logger }: ReceiptDeps,
  ticket: DecisionTicket,
  outcome: CallOutcome,
): Promise<CallOutcome | undefined> {
  try {
    return await pipeline.finishTask(ticket, outcome);
  } catch (error) {
    logger.error({ code: errorCode(error), call: ticket.callId }, "no end of a task could be kept; it is withheld");
    return undefined;
  }
}

/** The answer without a receipt, which says nothing. */
export function withheld({ idText }: AgentRequest, receipt: ReceiptRef | undefined): AgentAnswer {
  const reason = "receipt.unavailable";
  const named = receipt === undefined ? {} : { receipt: formatReceiptRef(receipt) };
  const bytes = errorResponse(idText, RPC.internal, "no receipt could be kept", { reason, ...named });
  return { httpStatus: 200, bytes, ...(receipt === undefined ? {} : { receipt }) };
}

/** A denied tool call is a result, because models can act on those; every other refusal is an error. */
export function denied(request: AgentRequest, refusal: CallRefusal, ref: ReceiptRef | undefined): AgentAnswer {
  const { rpcCode } = refusal;
  const isDenial = rpcCode === RPC.denied || rpcCode === RPC.blocked;
  if (isDenial && request.message.method === "tools/call" && ref !== undefined) {
    const bytes = resultResponse(request.idText, deniedResult(request, refusal, ref));
    return { httpStatus: 200, bytes, receipt: ref };
  }
  const bytes = refusalResponse(request.idText, refusal, ref);
  return { httpStatus: 200, bytes, ...(ref === undefined ? {} : { receipt: ref }) };
}

/** The error that tells of a refusal. */
export function refusalResponse(idText: string, refusal: CallRefusal, ref: ReceiptRef | undefined): Uint8Array {
  const { rpcCode, reason, policies, message, data } = refusal;
  const named = ref === undefined ? {} : { receipt: formatReceiptRef(ref) };
  return errorResponse(idText, rpcCode, message, { ...data, reason, policies, ...named });
}

/** The result of a tool in place of one that is denied. */
export function deniedResult(
  { era }: AgentRequest,
  { reason, policies, message }: CallRefusal,
  ref: ReceiptRef,
): string {
  const receipt = formatReceiptRef(ref);
  return JSON.stringify({
    ...(era === "modern" ? { resultType: "complete" } : {}),
    content: [{ type: "text", text: `Denied: ${message} (reason ${reason}, receipt ${receipt})` }],
    isError: true,
    _meta: { [OUR_META.reason]: reason, [OUR_META.policies]: policies, [OUR_META.receipt]: receipt },
  });
}

/** What the agent is told of an answer that a stage took away without a word. */
export const BLOCKED: CallRefusal = {
  rpcCode: RPC.blocked,
  reason: "inspect.block",
  policies: [],
  message: "The server's answer is withheld.",
};

/** The answer that was recorded, with the status that its error has over HTTP. */
export function recordedAnswer(request: AgentRequest, receipt: ReceiptRef, kept: CallOutcome): AgentAnswer {
  const { returned, rpcCode } = kept;
  if (returned === undefined) return denied(request, kept.refusal ?? BLOCKED, receipt);
  return { httpStatus: httpStatusOf(request.era, rpcCode), bytes: returned, receipt };
}
