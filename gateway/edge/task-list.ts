/**
 * `tasks/list` of a legacy agent: its own tasks as it saw them last. No server is asked, since none could tell whose a task
 * is; what is listed of a server is decided as a request about its tasks.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import type { CallOutcome, Decided, InboundCall } from "../pipeline/call.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { resultResponse } from "../wire/rpc-error.ts";
import { type AgentAnswer, type AgentRequest, wireFacts } from "./agent-request.ts";
import { concludingAll, decide, finish, withheld } from "./call-receipts.ts";
import { refuseRequest } from "./refuse.ts";
import type { ForwardDeps } from "./round-trip.ts";
import { UNOFFERED } from "./task-calls.ts";
import { hasLegacyTasks } from "./task-support.ts";

/** A server whose tasks may be listed, with its decision. */
interface Listed {
  readonly serverId: string;
  readonly decided: Exclude<Decided, { action: "refuse" }>;
}

/** Answers with one page. */
export async function listTasks(deps: ForwardDeps, request: AgentRequest): Promise<AgentAnswer> {
  const servers = request.mount.serverIds.flatMap((id) => {
    const upstream = deps.upstreams.get(id);
    return upstream !== undefined && hasLegacyTasks(deps.catalog.capabilities(id)) ? [upstream] : [];
  });
  if (servers.length === 0) return refuseRequest(deps, UNOFFERED, request);
  const listed: Listed[] = [];
  let isLost = false;
  for (const upstream of servers) {
    const decided = await decide(deps, listCall(request, upstream));
    isLost ||= decided === undefined;
    if (decided !== undefined && decided.action !== "refuse") listed.push({ serverId: upstream.id, decided });
  }
  return concludingAll(
    deps,
    listed.map(({ decided }) => decided),
    async () => (isLost ? withheld(request, undefined) : giveTasks(deps, request, listed)),
  );
}

async function giveTasks(deps: ForwardDeps, request: AgentRequest, listed: readonly Listed[]): Promise<AgentAnswer> {
  const own = deps.tasks.own(request).filter(({ serverId }) => listed.some((one) => one.serverId === serverId));
  const bytes = resultResponse(request.idText, `{"tasks":[${own.map(({ last }) => last).join(",")}]}`);
  for (const { decided } of listed) {
    if ((await finish(deps, decided, outcomeOf(decided, bytes))) === undefined) return withheld(request, undefined);
  }
  return { httpStatus: 200, bytes };
}

function listCall(request: AgentRequest, upstream: Upstream): InboundCall {
  const { caller, session, message, received } = request;
  return {
    wire: wireFacts(request),
    caller,
    session,
    serverId: upstream.id,
    target: { kind: "task", name: "" },
    params: message.params,
    received,
    toSend: formatUtf8(""),
    isAnsweredHere: true,
    upstream: upstream.facts(),
  };
}

function outcomeOf({ action }: Listed["decided"], returned: Uint8Array): CallOutcome {
  const common = { returned, upstreamUs: 0, uninspectedBytes: 0 };
  if (action === "phantom") return { status: "phantom", effect: "none", ...common };
  return { status: "ok", effect: "done", ...common };
}
