/** Session artifacts that take effect: what is kept of them, and the receipts that say so, or that one was refused. */

import { digestFile } from "../../kernel/policy-manifest.ts";
import type { PolicyLoadBody } from "../../kernel/receipt/policy-load.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import { keepEvidence } from "../evidence-files.ts";
import type { RunFacts } from "../pipeline/decision-body.ts";
import { policyLoadOf } from "../pipeline/opening.ts";
import type { PolicyBundle } from "../policy/bundle.ts";
import type { Unplaced } from "../receipts/recorder.ts";
import type { ExaminedSession } from "./session-examine.ts";
import type { SessionFloors } from "./session-floors.ts";

/** Keeps the documents and the versions; durable when it resolves. @throws {StoreError} ERR_CONTROL_FILE, ERR_CONTROL_FULL */
export async function keepSessions(
  dataDir: string,
  floors: SessionFloors,
  examined: readonly ExaminedSession[],
  nowMs: number,
): Promise<void> {
  if (examined.length === 0) return;
  for (const { sealed } of examined) await keepEvidence(dataDir, sealed.digest, sealed.artifact);
  await floors.remember(
    examined.map(({ sealed }) => sealed),
    nowMs,
  );
}

type PolicyLoad = Extract<Unplaced<PolicyLoadBody>, { kind: "policy-load" }>;

/** A session artifact is in force, over the gateway's policy of now. */
export function sessionLoadOf(
  { policy }: RunFacts,
  { sealed: { artifact, digest } }: ExaminedSession,
  files: PolicyBundle["files"],
): PolicyLoad {
  const own = { policy: { ...policy, session_artifact: digest }, mode: artifact.mode };
  return policyLoadOf(own, files, policy.digest);
}

/** A session artifact was refused. @param bytes  as they came */
export function sessionRefusalOf(run: RunFacts, bytes: Uint8Array, reason: ReasonCode): PolicyLoad {
  const policy = { ...run.policy, session_artifact: digestFile(bytes) };
  return { ...policyLoadOf({ policy, mode: run.mode }, [], run.policy.digest), result: "refused", reasons: [reason] };
}
