/**
 * Documents that receipts name by digest: capture scope, catalog, policy bundle. Each is kept in the data folder under its
 * digest, so that whoever is shown a receipt years later can be shown what it was decided on.
 *
 *     <data folder>/evidence/sha256-<hex>.json
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { formatBase64 } from "../kernel/base64.ts";
import { canonicalBytes } from "../kernel/json/canonical.ts";
import type { JsonValue } from "../kernel/json/value.ts";
import type { BundleFile, PolicyBundle } from "./policy/bundle.ts";
import { readIfThere } from "./receipts/read-if-there.ts";
import { writeDurably } from "./receipts/write-durably.ts";

/** Keeps a document under its digest; one that is there stays. */
export async function keepEvidence(dataDir: string, digest: string, document: JsonValue): Promise<void> {
  const folder = join(dataDir, "evidence");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const name = `${digest.replace(":", "-")}.json`;
  if (await exists(join(folder, name))) return;
  await writeDurably(folder, name, canonicalBytes(document));
}

/** A policy bundle as a document: its version, and each file's exact bytes in base64. */
export function bundleDocument(bundle: PolicyBundle, files: readonly BundleFile[]): JsonValue {
  return {
    kind: "policy-files",
    v: 1,
    version: bundle.version,
    files: [...files]
      .sort((a, b) => (a.path < b.path ? -1 : 1))
      .map(({ path, content }) => ({ path, content: formatBase64(content) })),
  };
}

async function exists(path: string): Promise<boolean> {
  return (await readIfThere(path)) !== undefined;
}
