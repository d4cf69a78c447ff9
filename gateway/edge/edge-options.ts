/** What both edges toward agents are made of: values only, no files, no environment. */

import type { Logger } from "../../kernel/service/service.ts";
import type { ClaimMembers } from "../identity/request-claims.ts";
import type { ResourceServer } from "../identity/resource-server.ts";
import type { BoundCall } from "../pipeline/bound-call.ts";
import type { Caller, CatalogReader, Pipeline } from "../pipeline/call.ts";
import type { TagTask } from "../pipeline/keyed-names.ts";
import type { Offers } from "../pipeline/offers.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { ApprovalDecisions } from "./approval-rounds.ts";
import type { ChangeFeed } from "./change-feed.ts";
import type { InFlightBounds } from "./in-flight.ts";
import type { ModernLegs } from "./modern-legs.ts";
import type { RuleChanges } from "./rule-changes.ts";
import type { TaskTableOptions } from "./task-table.ts";

/** Bounds of the agents' leg. */
export interface EdgeLimits {
  readonly maxBodyBytes: number;
  /** Until a request body must be there. */
  readonly bodyMs: number;
  readonly maxHeaderBytes: number;
  /** Calls under way, where `inFlight` of the edge does not say. */
  readonly maxInFlight: number;
  readonly maxInFlightPerCaller: number;
  /** Streams of `subscriptions/listen`, in all and of one caller. */
  readonly maxListens: number;
  readonly maxListensPerCaller: number;
  /** Tasks at a time, in all and of one caller; one that has ended makes room. */
  readonly maxTasks: number;
  readonly maxTasksPerCaller: number;
  /** Longest life of a task, and how much longer than its server says it is kept. */
  readonly maxTaskMs: number;
  readonly taskGraceMs: number;
  /** Legacy sessions at a time. */
  readonly maxSessions: number;
  readonly sessionIdleMs: number;
  readonly sessionMaxAgeMs: number;
  /** Comment lines on a stream that is silent. */
  readonly keepAliveMs: number;
  /** How long calls in flight may take to end when the edge closes. */
  readonly closeMs: number;
}

/** Limits of the gateway's specification. */
export const DEFAULT_EDGE_LIMITS: EdgeLimits = {
  maxBodyBytes: 4 * 1024 * 1024,
  bodyMs: 30_000,
  maxHeaderBytes: 16 * 1024,
  maxInFlight: 1_024,
  maxInFlightPerCaller: 256,
  maxListens: 4_096,
  maxListensPerCaller: 16,
  maxTasks: 4_096,
  maxTasksPerCaller: 256,
  maxTaskMs: 7 * 24 * 3_600_000,
  taskGraceMs: 60_000,
  maxSessions: 10_000,
  sessionIdleMs: 30 * 60_000,
  sessionMaxAgeMs: 24 * 3_600_000,
  keepAliveMs: 15_000,
  closeMs: 10_000,
};

/** What an edge hands calls to, and what it knows of the servers. */
export interface EdgeOptions {
  readonly pipeline: Pipeline;
  readonly catalog: CatalogReader;
  /** What each caller is offered; undefined: all of the catalog. */
  readonly offers?: Offers | undefined;
  /** By server id. */
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** Changes of servers' lists, for the agents. */
  readonly changes: ChangeFeed;
  /** Changes of what decides: streams that are open are decided anew. */
  readonly rules: RuleChanges;
  readonly limits?: Partial<EdgeLimits>;
  /** Bounds of calls under way, asked for each request; undefined: those of `limits`. */
  readonly inFlight?: (call: BoundCall) => InFlightBounds;
  readonly nowMs: () => number;
  /** At least 16 bytes from the system's generator are asked for at a time. */
  readonly randomBytes: (length: number) => Uint8Array;
  readonly logger: Logger;
  /** Tags ids of tasks under a key of the data folder; undefined: under one of this process. */
  readonly tagTask?: TagTask | undefined;
  /** Tasks that the run before left open: for one edge. */
  readonly left?: TaskTableOptions["left"];
  /** Scopes of access tokens; undefined if none are taken. */
  readonly scopes?: Pick<ResourceServer, "missingScopes" | "challenge"> | undefined;
  /** Members of `_meta` in which a request names actor and subject; the defaults if undefined. */
  readonly claims?: ClaimMembers | undefined;
  /** Sessions of modern agents at legacy servers; undefined: all share what the gateway has. */
  readonly modernLegs?: ModernLegs | undefined;
  /** Who knows what became of approvals; undefined: no call waits for one. */
  readonly approvals?: ApprovalDecisions | undefined;
  /** How the gateway names itself toward agents. */
  readonly software: { readonly name: string; readonly version: string };
}

/** A bearer token and whom it stands for. Only its SHA-256 is kept. */
export interface CallerToken {
  readonly token: string;
  readonly caller: Caller;
}
