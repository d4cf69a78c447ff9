/**
 * Manifest of a policy bundle (docs/formats/policy-manifest.md): what the digest in every decision receipt covers.
 *
 *     digest = "sha256:" ‖ hex SHA-256(JCS({"kind": "policy-bundle", "v": 1, "version", "files": [{"path", "digest"}…]}))
 *
 * Files are sorted by UTF-16 code units of their path; a file's digest is over its exact bytes.
 */

import { sha256 } from "#crypto";
import { formatUtf8 } from "./bytes.ts";
import { formatHex } from "./hex.ts";
import { canonicalBytes } from "./json/canonical.ts";

/** One file of a bundle. */
export type ManifestFile = {
  /** Relative, segments of `[A-Za-z0-9._-]` joined by `/`. */
  readonly path: string;
  /** `sha256:<hex>` of its bytes. */
  readonly digest: string;
};

/** `sha256:<hex>` of a file's bytes (of its UTF-8, if it is given as text). */
export function digestFile(content: Uint8Array | string): string {
  return `sha256:${formatHex(sha256(typeof content === "string" ? formatUtf8(content) : content))}`;
}

/** Digest of a bundle: its version and its files, in any order. */
export function policyDigest(version: string, files: readonly ManifestFile[]): string {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const manifest = {
    kind: "policy-bundle",
    v: 1,
    version,
    files: sorted.map(({ path, digest }) => ({ path, digest })),
  };
  return digestFile(canonicalBytes(manifest));
}
