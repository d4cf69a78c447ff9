/**
 * A catalog that is proposed: what is listed now, as the next version of the catalog that it would replace. Nothing of it
 * is trusted before enough approvers have signed it.
 */

import { FormatError } from "../../kernel/errors.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { signEnvelope } from "../../kernel/signature/envelope.ts";
import type { EnvelopeSigner } from "../../kernel/signature/signer.ts";
import {
  type CatalogFile,
  type CatalogOverride,
  type ListedServer,
  parseRevisedCatalog,
  pinServers,
  type RevisedCatalog,
  SIGNERS,
  type StoredCatalog,
} from "./catalog-file.ts";
import { digestOf } from "./digests.ts";

/**
 * Proposes what is listed now.
 *
 * @param base  the catalog in force, if there is one: servers that are not listed stay as they are in it
 */
export function proposeCatalog(listed: readonly ListedServer[], base: CatalogFile | undefined): RevisedCatalog {
  const fresh = pinServers(listed, SIGNERS);
  const ids = new Set(fresh.map(({ id }) => id));
  const kept = (base?.servers ?? []).filter(({ id }) => !ids.has(id));
  return {
    kind: "catalog",
    v: 1,
    version: (base?.version ?? 0) + 1,
    previous: base === undefined ? null : digestOf(base),
    overrides: (base?.overrides ?? []).filter(({ server }) => !ids.has(server)),
    servers: [...fresh, ...kept].sort((a, b) => (a.id < b.id ? -1 : 1)),
  };
}

/**
 * Adds a signature, and before the first one overrides of findings.
 *
 * @throws {FormatError} ERR_CATALOG if it has this key's signature, four signatures, or signatures that an override would
 *   invalidate
 */
export function signCatalog(
  { file, signatures }: StoredCatalog,
  signer: EnvelopeSigner,
  overrides: readonly CatalogOverride[] = [],
): StoredCatalog {
  if (overrides.length > 0 && signatures.length > 0) {
    throw new FormatError("ERR_CATALOG", "the catalog is signed: an override would change what was signed");
  }
  if (signatures.some(({ kid }) => kid === signer.publicKey.kid)) {
    throw new FormatError("ERR_CATALOG", "this key has signed the catalog already");
  }
  const body = { ...file, overrides: [...file.overrides, ...overrides] };
  const signed = { file: body, signatures: [...signatures, ...signEnvelope(body, [signer]).signatures] };
  // Read back as a gateway reads it: what it would refuse is not written.
  return parseRevisedCatalog(formatStoredCatalog(signed));
}

/** The bytes of a catalog's file. */
export function formatStoredCatalog({ file, signatures }: StoredCatalog): Uint8Array {
  return canonicalBytes(signatures.length === 0 ? file : { ...file, signatures });
}
