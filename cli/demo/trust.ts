/** The trust policy that `up` writes for its own topology: what its operator pins, and what must pass. */

import { existsSync } from "node:fs";
import { OBLIGATION_IDS, type ObligationId } from "../../kernel/obligation.ts";
import { parseTrustPolicy } from "../../kernel/trust-policy.ts";
import { readJsonFile, readLine, writeNewFile } from "../files.ts";
import type { Layout } from "./layout.ts";
import type { GatewayStatus } from "./operator.ts";

/**
 * Everything but hardware attestation and coverage: the keys of this topology are software keys, it is stopped and started at
 * will, and the verdict says so.
 */
const NOT_REQUIRED: ReadonlySet<ObligationId> = new Set(["mode.allowed", "stream.coverage", "attestation.hardware"]);
const REQUIRED = OBLIGATION_IDS.filter((id) => !NOT_REQUIRED.has(id));

/**
 * Writes the trust policy for the gateway's present stream, policy and catalog, one file a combination, and returns its path.
 *
 * A policy, catalog or stream that changes gets a new file: what an earlier one pinned is never edited.
 */
export function writeTrustPolicy(layout: Layout, status: GatewayStatus): string {
  const fingerprint = [status.stream, status.policy, status.catalog].map((text) =>
    text.replace("sha256:", "").slice(0, 8),
  );
  const path = layout.trust.replace(/\.json$/u, `-${fingerprint.join("-")}.json`);
  if (!existsSync(path)) {
    writeNewFile(path, `${JSON.stringify(trustPolicy(layout, status), null, 2)}\n`, 0o644);
  }
  readJsonFile(path, parseTrustPolicy);
  return path;
}

function trustPolicy(layout: Layout, status: GatewayStatus): object {
  return {
    kind: "trust-policy",
    v: 1,
    logs: [`${readLine(layout.witnessPolicy)}\n`],
    gateways: [{ stream: status.stream, label: "gateway of this topology" }],
    policies: [status.policy],
    catalogs: [status.catalog],
    modes: ["enforcing"],
    require: [...REQUIRED],
  };
}
