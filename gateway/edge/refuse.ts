/** Refusals of the wire: a receipt first, then an answer that names it. */

import { errorCode } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { Pipeline, ReceiptRef, Refusal } from "../pipeline/call.ts";
import { errorResponse, RPC, type WireRefusal } from "../wire/rpc-error.ts";
import { type AgentAnswer, type AgentRequest, formatReceiptRef, wireFacts } from "./agent-request.ts";

/** What a refusal needs. */
export interface RefuseDeps {
  readonly pipeline: Pipeline;
  readonly logger: Logger;
}

/** Keeps a receipt of a refusal; whoever is refused is refused without one, too. */
export async function keepRefusal(
  { pipeline, logger }: Pick<RefuseDeps, "logger"> & { readonly pipeline: Pick<Pipeline, "refuse"> },
  refusal: Refusal,
): Promise<ReceiptRef | undefined> {
  try {
    return await pipeline.refuse(refusal);
  } catch (error) {
    const { reason, serverId: server } = refusal;
    const code = errorCode(error);
    logger.error(
      { code, reason, ...(server === undefined ? {} : { server }) },
      "no receipt of a refusal could be kept",
    );
    return undefined;
  }
}

/**
 * Keeps a receipt of a refusal and makes the answer. Without a receipt it is refused all the same.
 *
 * @param facts  what is known at this step
 * @param idText  the id as the agent spelled it; undefined if the document cannot be trusted
 */
export async function refuse(
  { pipeline, logger }: RefuseDeps,
  refusal: WireRefusal,
  facts: Omit<Refusal, "step" | "reason">,
  idText: string | undefined,
): Promise<AgentAnswer> {
  const { step, reason, recorded = reason, rpcCode, httpStatus, message, data = {}, headers } = refusal;
  const receipt = await keepRefusal({ pipeline, logger }, { step, reason: recorded, ...facts });
  const named = receipt === undefined ? {} : { receipt: formatReceiptRef(receipt) };
  const bytes = errorResponse(idText, rpcCode, message, { reason, ...data, ...named });
  return {
    httpStatus,
    bytes,
    ...(receipt === undefined ? {} : { receipt }),
    ...(headers === undefined ? {} : { headers }),
  };
}

/**
 * The answer to a request that failed inside the gateway: whoever waits for it is told, and nothing of why.
 * SPEC JSON-RPC 2.0 §5: every request is answered, also one that is ended by a fault of ours.
 *
 * @param idText  undefined if nobody knows which request it was
 */
export function faultResponse(logger: Logger, error: unknown, idText: string | undefined): Uint8Array {
  logger.error({ code: errorCode(error) }, "a request failed inside the gateway");
  return errorResponse(idText, RPC.internal, "the gateway failed", { reason: "receipt.unavailable" });
}

/** Refuses a request that got as far as the dispatcher. */
export function refuseRequest(
  deps: RefuseDeps,
  refusal: WireRefusal,
  request: AgentRequest,
  more: Pick<Refusal, "serverId" | "accounting"> = {},
): Promise<AgentAnswer> {
  const { caller, session, received, idText } = request;
  return refuse(deps, refusal, { wire: wireFacts(request), caller, session, received, ...more }, idText);
}
