/** What a gateway measures of itself and of its agents, by reading files: its own code, the policy's folder, agents' folders, the configuration's limits and quarantine. */

import { type Dirent, existsSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";
import type { AgentDigests } from "../gateway/artifact/artifact-check.ts";
import type { MeasuredAgent } from "../gateway/artifact/artifact-config.ts";
import type { Measurements } from "../gateway/artifact/remeasure.ts";
import type { GatewayConfig } from "../gateway/config.ts";
import { readCallLimits } from "../gateway/limits/call-limits.ts";
import { readQuarantine } from "../gateway/quarantine/quarantine.ts";
import { type AgentFile, agentCodeDigest, agentMetadataDigest } from "../kernel/agent-measurement.ts";
import { FormatError, StoreError } from "../kernel/errors.ts";
import { parseJson } from "../kernel/json/parse.ts";
import { isJsonObject } from "../kernel/json/value.ts";
import { readBytes, readJsonFile } from "./files.ts";
import { readBundle } from "./gateway-files.ts";
import { packageRoot } from "./package-root.ts";

/** The parts of the package that a gateway runs: of a checkout its sources, of an installation what they were compiled to. */
const CODE = [
  "attestation",
  "cli",
  "gateway",
  "kernel",
  "verifier",
  "dist/attestation",
  "dist/cli",
  "dist/gateway",
  "dist/kernel",
  "dist/verifier",
];

/** What the configuration's artifact is compared with. @param file  of the configuration */
export function measurementsOf(
  { policy, artifact }: Pick<GatewayConfig, "policy" | "artifact">,
  file: string,
): Measurements {
  const agents = artifact?.agents ?? [];
  return {
    ...(policy === undefined ? {} : { policyFiles: () => readBundle(policy.dir) }),
    code: ownCodeDigest,
    limits: () => readJsonFile(file, readCallLimits),
    quarantine: () => readJsonFile(file, readQuarantine),
    agents: () => new Map(agents.map((agent) => [agent.principal, measureAgent(agent)])),
  };
}

/** Digest of the gateway's own code and of the file that pins its dependencies, measured as an agent's is. */
export function ownCodeDigest(): string {
  const root = packageRoot();
  const present = CODE.filter((path) => existsSync(join(root, path)));
  const files = present.flatMap((path) => filesBelow(root, join(root, path)));
  return agentCodeDigest([...files, { path: "package.json", content: readBytes(join(root, "package.json")) }]);
}

/** Digests of an agent's folder and of its metadata. @throws {StoreError} ERR_FILE_READ @throws {FormatError} ERR_SHAPE */
export function measureAgent({ dir, metadata_file: path }: Pick<MeasuredAgent, "dir" | "metadata_file">): AgentDigests {
  const metadata = path === undefined ? undefined : parseJson(readBytes(path));
  if (metadata !== undefined && !isJsonObject(metadata)) {
    throw new FormatError("ERR_SHAPE", `${path ?? ""}: want a JSON object`);
  }
  return {
    code: agentCodeDigest(filesBelow(dir, dir)),
    metadata: metadata === undefined ? undefined : agentMetadataDigest(metadata),
  };
}

function filesBelow(root: string, folder: string): readonly AgentFile[] {
  return readFolder(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(root, path);
    return [{ path: relative(root, path).split(sep).join("/"), content: readBytes(path) }];
  });
}

function readFolder(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    throw new StoreError("ERR_FILE_READ", `cannot read the folder ${folder}`, { cause });
  }
}
