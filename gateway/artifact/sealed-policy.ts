/** What of a run is about its sealed artifact: the renewal, the measurements on a cycle, the receipts of safe state. */

import { errorCode } from "../../kernel/errors.ts";
import type { DecisionBasis } from "../decision-basis.ts";
import type { RuleChanges } from "../edge/rule-changes.ts";
import type { GatewayMetrics } from "../metrics.ts";
import type { GatewayOptions, World } from "../options.ts";
import type { CarriedOut } from "../policy/obligations.ts";
import { makePolicyReload, type ReloadedPolicy } from "../policy-reload.ts";
import type { Recorder } from "../receipts/recorder.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { AgentDigests } from "./artifact-check.ts";
import { REMEASURE_SECONDS } from "./artifact-config.ts";
import { remeasure, runningOf } from "./remeasure.ts";
import { makeSafeStateWatch } from "./safe-state.ts";
import type { SessionWatch } from "./session-watch.ts";

/** The parts of a run that it works on. */
export interface SealedPolicyParts {
  readonly options: GatewayOptions;
  readonly world: World;
  readonly basis: DecisionBasis;
  readonly recorder: Recorder;
  readonly upstreams: readonly Upstream[];
  readonly metrics: GatewayMetrics;
  readonly carriedOut: readonly CarriedOut[];
  /** Told when another policy is in force, and when safe state begins. */
  readonly rules: RuleChanges;
  /** Of open sessions, each with its own artifact. */
  readonly watch: SessionWatch;
}

/** The sealed policy of a run. */
export interface SealedPolicy {
  /** Loads the body of `POST /policy`. */
  readonly reload: (body: Uint8Array) => Promise<ReloadedPolicy>;
  /** Starts what runs by the clock. @returns the function that ends it and waits for what runs */
  readonly start: () => () => Promise<void>;
}

/** From now on each connection to a server is held to what the artifact in force says of it; another one halts the run. */
function bindAll({ basis: { artifact }, upstreams, options }: SealedPolicyParts, watch: () => Promise<void>): void {
  const sealed = artifact.current();
  if (sealed === undefined) return;
  for (const { id, tls } of upstreams) {
    const identity = sealed.artifact.upstreams.find(({ server }) => server === id)?.identity;
    tls?.bind(identity?.kind === "http" ? identity : {}, (why) => {
      // A renewal binds anew: what an older rule said of a connection is over.
      if (artifact.current() !== sealed) return;
      options.logger.error({ server: id, why }, "a server is not the one that the sealed policy names");
      artifact.halt();
      watch().catch((error: unknown) => options.logger.error({ err: error }, "safe state has no receipt"));
    });
  }
}

/** Agents that cannot be measured any more are none that anybody knows. */
function agentsNow({ options: { measurements = {}, logger } }: SealedPolicyParts): ReadonlyMap<string, AgentDigests> {
  try {
    return measurements.agents?.() ?? new Map();
  } catch (error) {
    logger.error({ code: errorCode(error) }, "the agents cannot be measured any more");
    return new Map();
  }
}

/** How often the end of an artifact is looked at; calls are denied from the very moment on. */
const WATCH_MS = 1_000;

/** Makes it. Without an artifact nothing is measured, and every renewal is refused. */
export function makeSealedPolicy(parts: SealedPolicyParts): SealedPolicy {
  const { options, world, basis, recorder, upstreams, metrics, carriedOut, rules } = parts;
  const { config, logger, measurements = {} } = options;
  const watchGateway = makeSafeStateWatch({
    inForce: basis.artifact,
    recorder,
    metrics,
    logger,
    onChange: () => rules.tell(),
  });
  const watch = async (): Promise<void> => {
    await watchGateway();
    await parts.watch.look();
  };
  const { nowMs, schedule } = world;
  const bindServers = (): void => bindAll(parts, watch);
  bindServers();
  const reload = makePolicyReload({
    config,
    basis,
    recorder,
    upstreams,
    measurements,
    carriedOut,
    nowMs,
    bindServers,
    onReplaced: () => rules.tell(),
    watch,
  });
  const measureAgain = async (): Promise<void> => {
    await remeasure({
      inForce: basis.artifact,
      measurements,
      upstreams,
      running: () => runningOf(basis.policyNow().bundle.digest, config),
      logger,
    });
    basis.sessions.measured(() => agentsNow(parts));
    await watch();
  };
  const start = (): (() => Promise<void>) => {
    const { artifact } = config;
    if (artifact === undefined) return async () => undefined;
    const running = new Set<Promise<void>>();
    const run = (job: () => Promise<void>): void => {
      if (recorder.isFailed()) return;
      const done = job()
        .catch((error: unknown) => logger.error({ code: errorCode(error) }, "a watch failed"))
        .finally(() => running.delete(done));
      running.add(done);
    };
    const stops = [
      schedule(WATCH_MS, () => run(watch)),
      schedule((artifact.remeasure_seconds ?? REMEASURE_SECONDS) * 1000, () => run(measureAgain)),
    ];
    return async () => {
      for (const stop of stops) stop();
      await Promise.all(running);
    };
  };
  return { reload, start };
}
