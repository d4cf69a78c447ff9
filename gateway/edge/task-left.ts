/** Tasks that a run of the gateway leaves to the next: what is kept of one, and how its call is taken up by the first request about it. */

import { parseBase64 } from "../../kernel/base64.ts";
import type { DecisionTicket, Pipeline, UpstreamFacts } from "../pipeline/call.ts";
import type { LeftEntry, LeftTask } from "../receipts/left-tasks.ts";
import { readMessage } from "../wire/rpc.ts";
import type { AgentRequest } from "./agent-request.ts";
import type { KeptTask } from "./task-table.ts";

/** What is kept of a task. Of a legacy one nothing: its session ends with the run. */
export function leftEntry(task: KeptTask, name: Pick<LeftEntry, "issuer" | "name">): LeftEntry | undefined {
  const { id, upstreamId, serverId, tool, era, owner, ticket, firstSeq, createdMs, expiresMs } = task;
  if (era === "legacy" || ticket === undefined) return undefined;
  return {
    id,
    upstream_id: upstreamId,
    server: serverId,
    tool,
    owner,
    issuer: name.issuer,
    name: name.name,
    decision_seq: ticket.receipt.seq,
    first_seq: firstSeq,
    created_ms: createdMs,
    // Servers may say parts of a millisecond.
    expires_ms: Math.ceil(expiresMs),
  };
}

/** Bytes of the call, as they were counted before it was kept as text. */
export function leftBytes({ received, sent }: LeftTask): number {
  return parseBase64(received).length + parseBase64(sent).length;
}

/** The decision of the call that made the task. */
export function leftTicket({ call, entry }: LeftTask, stream: string): DecisionTicket {
  return { callId: call, receipt: { stream, seq: entry.decision_seq } };
}

/**
 * Takes up the call of a task of the run before: it is the asking agent's, who is the one that made it. Nothing happens if the
 * task is this run's, or was asked about before.
 *
 * @param asking  the decision of the request about the task
 */
export function wakeTask(
  pipeline: Pick<Pipeline, "wakeTask">,
  task: KeptTask,
  { caller, session, transport, era, revision, mount }: AgentRequest,
  upstream: UpstreamFacts,
  asking: DecisionTicket,
): void {
  const { left, ticket } = task;
  if (left === undefined || ticket === undefined) return;
  task.left = undefined;
  const received = parseBase64(left.received);
  const message = readMessage(received, "ingress", received.length);
  if (message.type !== "request") return;
  const { id, method, params } = message;
  const call = {
    wire: { transport, era, revision, method, id, name: task.tool },
    caller,
    session,
    serverId: task.serverId,
    mount: mount.path,
    target: { kind: "tool", name: task.tool },
    params,
    received,
    toSend: parseBase64(left.sent),
    upstream,
  } as const;
  pipeline.wakeTask?.(ticket, { call, labels: left.labels, createdMs: task.createdMs }, asking);
}
