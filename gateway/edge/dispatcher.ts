/** One request of an agent by its row in the method table: answered here, forwarded, or refused with a receipt. */

import { setMaxListeners } from "node:events";
import type { Caller, CatalogReader, SessionKey } from "../pipeline/call.ts";
import { LOG_LEVELS } from "../wire/log-levels.ts";
import { type RequestRule, requestRule } from "../wire/methods.ts";
import { errorResponse, RPC, refusal, resultResponse, type WireRefusal } from "../wire/rpc-error.ts";
import { type AgentAnswer, type AgentRequest, wireFacts } from "./agent-request.ts";
import { claimConflict } from "./claim-conflict.ts";
import { DEFAULT_EDGE_LIMITS, type EdgeOptions } from "./edge-options.ts";
import { extensionsOf, routeExtension } from "./extension-route.ts";
import { forwardCall } from "./forward.ts";
import { type InFlight, type InFlightBounds, type InFlightNames, makeInFlight } from "./in-flight.ts";
import { type ListenDeps, listen } from "./listen.ts";
import { listing } from "./listing.ts";
import { discoverResult, hasCapability } from "./local-answers.ts";
import { refuseRequest } from "./refuse.ts";
import { makeRoundStates } from "./round-state.ts";
import type { ForwardDeps } from "./round-trip.ts";
import { callTask, UNDECLARED } from "./task-calls.ts";
import { listTasks } from "./task-list.ts";
import { TaskTable } from "./task-table.ts";

const RETRY_AFTER_MS = 250;

/** Answers requests. */
export interface Dispatcher {
  /** Never rejects for what an agent or a server did. `initialize` is the edge's own, as it opens a session. */
  readonly answer: (request: AgentRequest) => Promise<AgentAnswer>;
  /** Resolves when no call is in flight and no task open; ends the streams of those who listen. */
  readonly drained: () => Promise<void>;
  /** Tasks of the agents. */
  readonly tasks: TaskTable;
  /** Lets go of what a session that somebody vouches for has open. */
  readonly endSession: (caller: Caller, session: SessionKey) => Promise<void>;
}

/** What is done with a call that policy decides. */
export type Forward = (deps: ForwardDeps, request: AgentRequest, rule: ForwardRow) => Promise<AgentAnswer>;

type ForwardRow = Extract<RequestRule, { rule: "forward" }>;

/** Makes the dispatcher of an edge. @param forward  another way than to send calls to their server and wait for the answer */
export function makeDispatcher(options: EdgeOptions, forward: Forward = forwardCall): Dispatcher {
  const { maxInFlight, maxInFlightPerCaller, maxListens, maxListensPerCaller } = {
    ...DEFAULT_EDGE_LIMITS,
    ...options.limits,
  };
  const inFlight = makeInFlight(maxInFlight, maxInFlightPerCaller);
  const listens = makeInFlight(maxListens, maxListensPerCaller, LISTENS);
  const closing = new AbortController();
  // Each stream waits for the end of the edge.
  setMaxListeners(0, closing.signal);
  const rounds = makeRoundStates(options.randomBytes, options.nowMs);
  const tasks = new TaskTable({ ...DEFAULT_EDGE_LIMITS, ...options.limits, ...options });
  const byCatalog = new WeakMap<CatalogReader, Deps>();
  const deps = { ...options, forward, rounds, tasks, closing: closing.signal, listens, byCatalog };
  return {
    answer: (request) => answer(deps, inFlight, request),
    drained: async () => {
      closing.abort();
      await Promise.all([inFlight.drained(), listens.drained()]);
      // Behind the last call that could make one.
      await tasks.close();
    },
    tasks,
    endSession: (caller, session) => tasks.endSession(caller, session),
  };
}

const LISTENS: InFlightNames = {
  total: { reason: "limit.listen-streams", limit: "listen-streams-principal" },
  own: { reason: "limit.listen-streams", limit: "listen-streams-principal" },
};

interface Deps extends EdgeOptions, ForwardDeps, ListenDeps {
  readonly listens: InFlight;
  readonly forward: Forward;
  /** The same with what is offered of the catalog: one for each such part, of which few differ. */
  readonly byCatalog: WeakMap<CatalogReader, Deps>;
}

function answer(options: Deps, inFlight: InFlight, request: AgentRequest): Promise<AgentAnswer> {
  const { message, era, idText, mount } = request;
  const conflict = claimConflict(options, message, request.caller);
  if (conflict !== undefined) return refuseRequest(options, conflict, request);
  const row = requestRule(message.method, era);
  switch (row.rule) {
    case "list":
      return listing(offering(options, request), request, row.list);
    case "discover":
      return ok(idText, discoverResult(options, mount, extensionsOf(options, request)));
    case "ping":
      return ok(idText, "{}");
    case "set-level":
      if (!hasCapability(options.catalog, mount, "logging")) {
        return refuseRequest(options, methodRefusal(request, "unknown"), request);
      }
      // Each server is asked.
      return underWay(options, inFlight, request, () => setLevel(options, request));
    case "listen":
      return withPlace(options, options.listens, request, () => listen(offering(options, request), request));
    case "forward":
      return underWay(options, inFlight, request, () => options.forward(offering(options, request), request, row));
    case "task":
      // Where calls go another way, no task of theirs is known.
      if (options.forward !== forwardCall) return refuseRequest(options, UNDECLARED, request);
      return underWay(options, inFlight, request, () => callTask(options, request));
    case "task-list":
      return underWay(options, inFlight, request, () => listTasks(options, request));
    case "unknown": {
      // Whoever carries calls another way carries none of an extension.
      const routed = options.forward === forwardCall ? routeExtension(options, request) : undefined;
      if (routed === undefined) return refuseRequest(options, methodRefusal(request, row.rule), request);
      return underWay(options, inFlight, request, () => forwardCall(options, request, { rule: "extension", routed }));
    }
    case "initialize":
    case "removed":
      return refuseRequest(options, methodRefusal(request, row.rule), request);
  }
}

/** A call that is under way until its answer is written. */
function underWay(
  options: EdgeOptions,
  inFlight: InFlight,
  request: AgentRequest,
  run: () => Promise<AgentAnswer>,
): Promise<AgentAnswer> {
  const { caller, session, transport } = request;
  return withPlace(options, inFlight, request, run, options.inFlight?.({ caller, session, wire: { transport } }));
}

/** With what of the catalog this agent is offered. */
function offering(options: Deps, request: AgentRequest): Deps {
  const { offers, byCatalog } = options;
  if (offers === undefined) return options;
  const { caller, session } = request;
  const catalog = offers.readerFor({ caller, session, wire: wireFacts(request) });
  const known = byCatalog.get(catalog);
  if (known !== undefined) return known;
  const offered = { ...options, catalog };
  byCatalog.set(catalog, offered);
  return offered;
}

/** Every server with a session of this agent is told, those that get one later with it. */
async function setLevel({ upstreams }: Deps, { idText, legs, message, mount }: AgentRequest): Promise<AgentAnswer> {
  const { level } = message.params;
  if (typeof level !== "string" || !LOG_LEVELS.has(level)) {
    const bytes = errorResponse(idText, RPC.invalidParams, "want a level of RFC 5424", { reason: "rpc.shape" });
    return { httpStatus: 200, bytes };
  }
  await legs?.setLevel(
    mount.serverIds.flatMap((id) => upstreams.get(id) ?? []),
    level,
  );
  return ok(idText, "{}");
}

async function withPlace(
  options: EdgeOptions,
  inFlight: InFlight,
  request: AgentRequest,
  run: () => Promise<AgentAnswer>,
  bounds?: InFlightBounds,
): Promise<AgentAnswer> {
  const place = inFlight.enter(request.caller, bounds);
  if (place.type === "full") {
    const { reason, accounting } = place;
    const { limit, budget, consumed, reserved } = accounting;
    const data = { limit, budget, consumed, reserved, retryAfterMs: RETRY_AFTER_MS };
    const full = refusal("limits", reason, RPC.limit, 200, "too many calls are in flight", { data });
    return refuseRequest(options, full, request, { accounting });
  }
  try {
    return await run();
  } finally {
    // An agent that does not take its answers does not get more of them.
    if (request.untilWritten === undefined) place.leave();
    else request.untilWritten(place.leave);
  }
}

function ok(idText: string, result: string): Promise<AgentAnswer> {
  return Promise.resolve({ httpStatus: 200, bytes: resultResponse(idText, result) });
}

/** SPEC MCP 2026-07-28: an unknown method is HTTP 404; a legacy client would take 404 for the end of its session. */
function methodRefusal({ era, transport }: AgentRequest, rule: "removed" | "unknown" | "initialize"): WireRefusal {
  const status = era === "modern" && transport === "http" ? 404 : 200;
  if (rule === "removed") {
    return refusal("classify", "mcp.method-removed", RPC.methodNotFound, status, "this revision has no such method");
  }
  return refusal("classify", "mcp.method-unknown", RPC.methodNotFound, status, "no such method");
}
