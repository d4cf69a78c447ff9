/**
 * What an agent is, in two digests (docs/formats/policy-artifact.md): one of its bytes, one of what it says of itself.
 *
 *     code     = SHA-256(JCS({"kind": "agent-code", "v": 1, "files": [{"path", "digest"}…]})), files sorted by path
 *     metadata = SHA-256(JCS({"kind": "agent-metadata", "v": 1, "metadata": …}))
 *
 * A file's digest is over its normalised bytes. Text that is checked out on another system is the same agent: if the bytes
 * are UTF-8 without U+0000, a leading U+FEFF is left out and CR LF and CR become LF. All other bytes stay as they are.
 */

import { formatUtf8, parseUtf8 } from "./bytes.ts";
import { FormatError } from "./errors.ts";
import { canonicalBytes } from "./json/canonical.ts";
import type { JsonObject } from "./json/value.ts";
import { digestFile } from "./policy-manifest.ts";
import type { Digest } from "./receipt/fields.ts";

/** One file of an agent. */
export interface AgentFile {
  /** Relative to the agent's folder, segments joined by `/`. */
  readonly path: string;
  readonly content: Uint8Array;
}

/** The bytes of a file as they are measured. */
export function normaliseFile(content: Uint8Array): Uint8Array {
  const text = textOf(content);
  if (text === undefined) return content;
  return formatUtf8(text.replace(/^\ufeff/u, "").replaceAll(/\r\n?/gu, "\n"));
}

/** Digest of an agent's files, in any order. @throws {FormatError} ERR_SHAPE if a path stands twice or there is no file */
export function agentCodeDigest(files: readonly AgentFile[]): Digest {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  if (files.length === 0) throw new FormatError("ERR_SHAPE", "agent: want at least one file");
  if (sorted.some(({ path }, i) => path === sorted[i - 1]?.path)) {
    throw new FormatError("ERR_SHAPE", "agent: want distinct paths");
  }
  const list = sorted.map(({ path, content }) => ({ path, digest: digestFile(normaliseFile(content)) }));
  return digestFile(canonicalBytes({ kind: "agent-code", v: 1, files: list }));
}

/** Digest of what an agent says of itself: its name, version, publisher and whatever else. */
export function agentMetadataDigest(metadata: JsonObject): Digest {
  return digestFile(canonicalBytes({ kind: "agent-metadata", v: 1, metadata }));
}

function textOf(content: Uint8Array): string | undefined {
  if (content.includes(0)) return undefined;
  try {
    return parseUtf8(content);
  } catch {
    return undefined;
  }
}
