/**
 * Measures again what a sealed artifact names: the policy's files, the gateway's own code, the agents, the executables of
 * the servers, what the configuration's file says of limits and quarantine. What differs, or cannot be measured any more, halts the run.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { type PolicyArtifact, quarantineDigest } from "../../kernel/policy-artifact.ts";
import { policyDigest } from "../../kernel/policy-manifest.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { GatewayConfig } from "../config.ts";
import { type CallLimitsConfig, configuredBounds } from "../limits/call-limits.ts";
import { type BundleFile, parseBundle } from "../policy/bundle.ts";
import type { QuarantineConfig } from "../quarantine/quarantine.ts";
import { measureFile } from "../upstream/executable.ts";
import type { Upstream } from "../upstream/upstream.ts";
import {
  type AgentDigests,
  type Measured,
  type MeasuredServer,
  measuredDifferences,
  namesPeer,
} from "./artifact-check.ts";
import type { ArtifactInForce } from "./artifact-in-force.ts";

/** Reads what lies on disk now; each throws if it cannot be read. */
export interface Measurements {
  /** The files of the policy's folder. */
  readonly policyFiles?: () => readonly BundleFile[];
  /** Digest of the gateway's own code. */
  readonly code?: () => string;
  readonly agents?: () => ReadonlyMap<string, AgentDigests>;
  /** The member `limits` of the configuration's file. */
  readonly limits?: () => CallLimitsConfig;
  /** The member `quarantine` of the configuration's file; undefined if it has none. */
  readonly quarantine?: () => QuarantineConfig | undefined;
}

/** What runs, for what nobody measures on disk. */
export interface Running {
  /** Digest of the bundle in force. */
  readonly policy: string;
  /** As the configuration said them at the start. */
  readonly limits: CallLimitsConfig;
  readonly quarantine: QuarantineConfig | undefined;
}

/** @param policy  digest of the bundle that is or will be in force */
export function runningOf(policy: string, { limits = {}, quarantine }: SealedConfig): Running {
  return { policy, limits, quarantine };
}

/** What of a configuration an artifact may seal as a whole. */
type SealedConfig = Pick<GatewayConfig, "limits" | "quarantine">;

/** What there is now. */
export async function measure(
  { policyFiles, code, agents, limits, quarantine }: Measurements,
  upstreams: readonly Upstream[],
  running: Running,
  artifact: Pick<PolicyArtifact, "quarantine" | "upstreams">,
): Promise<Measured> {
  const servers = await Promise.all(
    upstreams.map(async (upstream) => {
      const isLookedAt = artifact.upstreams.some(
        ({ server, identity }) => server === upstream.id && namesPeer(identity),
      );
      return [upstream.id, await serverNow(upstream, isLookedAt)] as const;
    }),
  );
  const bundle = policyFiles === undefined ? undefined : parseBundle(policyFiles());
  return {
    policy: bundle === undefined ? running.policy : policyDigest(bundle.version, bundle.files),
    code: code?.(),
    limits: configuredBounds(limits?.() ?? running.limits),
    quarantine: artifact.quarantine === undefined ? [] : quarantineNow(running, quarantine),
    agents: agents?.() ?? new Map(),
    servers: new Map(servers),
  };
}

/** What runs was read at the start: a file that was changed behind it does not change it, and both are held to the artifact. */
function quarantineNow(running: Running, read: Measurements["quarantine"]): readonly string[] {
  const said = read === undefined ? [running.quarantine] : [running.quarantine, read()];
  return said.map((config) => quarantineDigest(config));
}

/** What one look at the world works with. */
export interface RemeasureOptions {
  readonly inForce: ArtifactInForce;
  readonly measurements: Measurements;
  readonly upstreams: readonly Upstream[];
  readonly running: () => Running;
  readonly logger: Logger;
  /** Default: a timer that keeps no process alive. */
  readonly pause?: (ms: number) => Promise<void>;
}

/** Measures; what differs halts the run. */
export async function remeasure(options: RemeasureOptions): Promise<void> {
  const { inForce, logger } = options;
  const sealed = inForce.current();
  if (sealed === undefined) return;
  const differences = await differencesFrom(sealed.artifact, options);
  // A renewal that came meanwhile was measured itself.
  if (differences.length === 0 || inForce.current() !== sealed) return;
  logger.error({ differences }, "what runs is not what the sealed policy names");
  inForce.halt();
}

/** Before what could not be measured for want of descriptors or memory is measured once more. */
const PAUSES_MS = [250, 1000, 4000];
/** The machine had nothing left: it says nothing of what was to be read, and whoever opens connections brings it about. */
const SHORTAGES: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"]);

async function differencesFrom(
  artifact: PolicyArtifact,
  { measurements, upstreams, running, pause = sleepAside }: RemeasureOptions,
): Promise<readonly string[]> {
  for (let tries = 0; ; tries += 1) {
    try {
      return measuredDifferences(artifact, await measure(measurements, upstreams, running(), artifact));
    } catch (error) {
      const ms = PAUSES_MS[tries];
      if (ms === undefined || !isShortage(error)) {
        return [`something cannot be measured any more: ${error instanceof Error ? error.message : "unknown"}`];
      }
      await pause(ms);
    }
  }
}

async function sleepAside(ms: number): Promise<void> {
  await sleep(ms, undefined, { ref: false });
}

function isShortage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ("code" in error && SHORTAGES.has(error.code)) || isShortage(error.cause);
}

/** The executable of a server that the gateway started is measured again; one over TLS is asked to show itself anew. */
async function serverNow({ identity, tls }: Upstream, isLookedAt: boolean): Promise<MeasuredServer> {
  if (identity.kind === "stdio") return { identity: { ...identity, executable: await measureFile(identity.command) } };
  if (!isLookedAt || tls === undefined) return { identity };
  return { identity, look: await tls.look(identity.url, LOOK_MS) };
}

/** Bound of one look at a server's certificate. */
const LOOK_MS = 5_000;
