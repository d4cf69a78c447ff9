/** The session artifacts of a start: each read and checked, so that a fault in one of them ends the start. */

import type { GatewayOptions, World } from "../options.ts";
import type { RunFacts } from "../pipeline/decision-body.ts";
import type { PolicyBundle } from "../policy/bundle.ts";
import type { SchemaSource } from "../policy/cedar-schema.ts";
import type { PolicyEvaluator } from "../policy/evaluator.ts";
import type { ArtifactInForce } from "./artifact-in-force.ts";
import { SessionArtifacts } from "./session-artifacts.ts";
import { examineSessions } from "./session-examine.ts";
import { SessionFloors } from "./session-floors.ts";
import { keepSessions } from "./session-load.ts";

/** What they narrow. */
interface Narrowed {
  readonly inForce: ArtifactInForce;
  readonly run: RunFacts;
  readonly evaluator: PolicyEvaluator;
  readonly bundle: PolicyBundle;
  readonly schemaSources: readonly SchemaSource[];
}

/**
 * Opens them; none where no gateway's artifact is configured. One that is over binds its agent all the same, and serves nothing.
 *
 * @throws as `examineSessions`
 * @throws {StoreError} ERR_CONTROL_FILE, ERR_CONTROL_FULL
 */
export async function openSessionArtifacts(
  { config, sessionArtifactFiles = [], measurements = {} }: GatewayOptions,
  { nowMs }: Pick<World, "nowMs">,
  { inForce, run, evaluator, bundle, schemaSources }: Narrowed,
): Promise<{ readonly sessions: SessionArtifacts; readonly floors: SessionFloors }> {
  const isRequired = config.artifact?.sessions?.required === true;
  const sessions = new SessionArtifacts({ isRequired, inForce, run, evaluator, nowMs });
  const floors = await SessionFloors.open(config.data_dir);
  const outer = inForce.current()?.artifact;
  if (config.artifact === undefined || outer === undefined) return { sessions, floors };
  const examined = examineSessions(sessionArtifactFiles, {
    rule: config.artifact,
    floors,
    outer,
    bundle,
    schemaSources,
    agents: measurements.agents?.() ?? new Map(),
    nowMs: undefined,
  });
  sessions.put(examined);
  await keepSessions(config.data_dir, floors, examined, nowMs());
  return { sessions, floors };
}
