/** What a gateway is started with: its configuration, and as values what the configuration names files for. */

import type { Transport } from "../kernel/receipt/vocabulary.ts";
import type { Logger } from "../kernel/service/service.ts";
import type { Measurements } from "./artifact/remeasure.ts";
import type { GatewayConfig } from "./config.ts";
import type { EdgeLimits } from "./edge/edge-options.ts";
import type { EgressGuard } from "./egress/egress-guard.ts";
import type { StartThread } from "./egress/thread-guard.ts";
import type { AgentToken } from "./identity/auth-config.ts";
import type { NamedOperator } from "./operator/operators.ts";
import type { Stages } from "./pipeline/stage.ts";
import type { Schedule } from "./pipeline/timekeeper.ts";
import type { BundleFile } from "./policy/bundle.ts";
import type { StreamLog } from "./receipts/stream-log.ts";
import type { SiteFetch } from "./upstream/http-client.ts";
import type { Upstream, UpstreamDeps } from "./upstream/upstream.ts";
import type { UpstreamConfig } from "./upstream/upstream-config.ts";

/** The world of a gateway, replaceable in tests. */
export interface World {
  readonly nowMs: () => number;
  /** A clock that never goes back. */
  readonly monotonicMs: () => number;
  readonly schedule: Schedule;
  /** Resolves after `ms`, or at once when `signal` is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** The operating system's generator. */
  readonly randomBytes: (length: number) => Uint8Array;
  /** Between 0 and 1, for spreading retries. */
  readonly random: () => number;
  /** To the ledger and to issuers of tokens. */
  readonly fetch: typeof fetch;
  /** To servers. */
  readonly httpFetch: SiteFetch;
  readonly connect: (config: UpstreamConfig, deps: UpstreamDeps) => Promise<Upstream>;
  /** Another log of the stream over its own, for tests that hold back and fail writes; it is written on the serving thread. */
  readonly wrapLog?: (log: StreamLog) => StreamLog;
}

/** Tokens, read from the files that the configuration names. */
export interface GatewaySecrets {
  readonly submitToken: string;
  readonly operatorToken: string;
  /** Of `envoy.token_file`, if that is configured. */
  readonly envoyToken?: string;
  /** Operators with tokens of their own. */
  readonly operators?: readonly NamedOperator[];
  readonly agentTokens: readonly (Omit<AgentToken, "token_file"> & { readonly token: string })[];
  /** Signs what the approvals' webhook is told; undefined if there is none. */
  readonly webhookSecret?: Uint8Array;
  /** By server id. */
  readonly bearerTokens: ReadonlyMap<string, string>;
}

/** How the gateway names itself. */
export interface GatewaySoftware {
  readonly name: string;
  readonly version: string;
}

/** Options of `startGateway`. */
export interface GatewayOptions {
  readonly config: GatewayConfig;
  readonly secrets: GatewaySecrets;
  /** The files of `policy.dir`; undefined if none is configured. */
  readonly policyFiles: readonly BundleFile[] | undefined;
  /** The bytes of `catalog.file`; undefined if the catalog is pinned at first use. */
  readonly catalogFile: Uint8Array | undefined;
  /** Reads a file that `listen.tls` and `auth` name; not needed where they name none. */
  readonly readFile?: (path: string) => Uint8Array;
  /** The bytes of every file in `kubernetes.artifacts_dir`, as they are now. */
  readonly readSealedArtifacts?: () => readonly Uint8Array[];
  /** The content of `artifact.file`; undefined if no sealed artifact is configured. */
  readonly artifactFile?: Uint8Array | undefined;
  /** The content of each file of `artifact.sessions`. */
  readonly sessionArtifactFiles?: readonly Uint8Array[];
  /** What a sealed artifact is compared with, at the start and on a cycle. */
  readonly measurements?: Measurements;
  /** How agents reach this gateway; stands in the capture scope. */
  readonly agents: Transport;
  readonly software: GatewaySoftware;
  /** The guard of this process's connections; undefined if none stands. */
  readonly egress?: EgressGuard;
  /** Starts the gateway's threads; undefined: all of its work is done on one. */
  readonly startThread?: StartThread;
  /** The environment of which child processes get a few variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** Default: the real one, each member. */
  readonly world?: Partial<World>;
  readonly edgeLimits?: Partial<EdgeLimits>;
  /** How long a close may wait until the ledger has everything; default 3,000. */
  readonly drainMs?: number;
  /** What the run uses instead of its stages: tests add to them, and take some away. */
  readonly wrapStages?: (stages: Stages) => Stages;
  /** A file of the stream that is larger is followed by another one; default 67,108,864. */
  readonly streamFileBytes?: number;
}
