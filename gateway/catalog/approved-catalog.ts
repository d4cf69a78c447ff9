/**
 * The approved catalog of a run: the file that the configuration names, with the signatures that it asks for, or the one
 * that the first start pinned in the data folder. A pinned one is never replaced: what changes afterwards is drift.
 */

import { join } from "node:path";
import { CheckError, StoreError } from "../../kernel/errors.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { readIfThere } from "../receipts/read-if-there.ts";
import { writeDurably } from "../receipts/write-durably.ts";
import { readFloor, rememberFloor } from "../version-floor.ts";
import { type ApprovalRule, checkApproval, checkSuccession } from "./catalog-approval.ts";
import {
  type CatalogFile,
  type ListedServer,
  MAX_CATALOG_BYTES,
  parseCatalog,
  parseRevisedCatalog,
  pinFirstUse,
  type RevisedCatalog,
} from "./catalog-file.ts";
import { digestOf } from "./digests.ts";

/** Name of the pinned catalog in the data folder. */
export const PINNED_CATALOG = "catalog.json";

/** Name of the file with version and digest of the signed catalog that was in force last. */
const FLOOR = "catalog-floor.json";

/** Where a catalog comes from, and who must have approved it. */
export interface CatalogOrigin {
  readonly dataDir: string;
  /** Bytes of the configured file; undefined if the first use is pinned. */
  readonly configured: Uint8Array | undefined;
  readonly rule: ApprovalRule | undefined;
  /** What of the servers' lists may be pinned without a review. */
  readonly screen: (file: CatalogFile) => CatalogFile;
}

/** The catalog, who approved it, and whether it was pinned just now. */
export interface ApprovedCatalog {
  readonly file: CatalogFile;
  readonly approvers: readonly string[];
  readonly isNew: boolean;
}

/**
 * Reads the catalog, or pins what is listed now. A signed one is remembered: no older one is taken afterwards.
 *
 * @throws {FormatError} ERR_SHAPE, ERR_CATALOG, ERR_JSON_*
 * @throws {CheckError} ERR_CATALOG_UNSIGNED, ERR_CATALOG_THRESHOLD, ERR_CATALOG_VERSION, ERR_CATALOG_PREVIOUS
 * @throws {StoreError} ERR_FILE_READ
 */
export async function readApprovedCatalog(
  { dataDir, configured, rule, screen }: CatalogOrigin,
  listed: readonly ListedServer[],
): Promise<ApprovedCatalog> {
  if (configured === undefined) return pinned(dataDir, listed, screen);
  if (rule === undefined) return { file: parseReviewed(configured), approvers: [], isNew: false };
  const signed = await checkSignedCatalog(dataDir, configured, rule);
  await rememberCatalog(dataDir, signed.file);
  return { ...signed, isNew: false };
}

/** A file that is in force because the configuration names it. What is meant to be signed is not trusted so. */
function parseReviewed(bytes: Uint8Array): CatalogFile {
  const value = parseJson(bytes, { maxBytes: MAX_CATALOG_BYTES });
  if (isJsonObject(value) && Object.hasOwn(value, "version")) {
    throw new CheckError("ERR_CATALOG_UNSIGNED", "the catalog wants signatures, and no approvers are configured");
  }
  return parseCatalog(value);
}

/**
 * Reads a signed catalog and checks everything about it; nothing is remembered yet.
 *
 * @throws as `readApprovedCatalog`
 */
export async function checkSignedCatalog(
  dataDir: string,
  bytes: Uint8Array,
  rule: ApprovalRule,
): Promise<{ readonly file: RevisedCatalog; readonly approvers: readonly string[] }> {
  const stored = parseRevisedCatalog(bytes);
  const approvers = checkApproval(stored, rule);
  checkSuccession(stored, await readFloor(dataDir, FLOOR));
  return { file: stored.file, approvers };
}

/** From now on no older catalog is taken; durable when it resolves. */
export async function rememberCatalog(dataDir: string, file: RevisedCatalog): Promise<void> {
  await rememberFloor(dataDir, FLOOR, { version: file.version, digest: digestOf(file) });
}

async function pinned(
  dataDir: string,
  listed: readonly ListedServer[],
  screen: CatalogOrigin["screen"],
): Promise<ApprovedCatalog> {
  const bytes = await readFileIfThere(join(dataDir, PINNED_CATALOG));
  if (bytes !== undefined) {
    const file = parseCatalog(parseJson(bytes, { maxBytes: MAX_CATALOG_BYTES }));
    return { file, approvers: [], isNew: false };
  }
  // What was pinned is read back as any catalog is, so that a start that would refuse it refuses it now.
  const file = parseCatalog(screen(pinFirstUse(listed)));
  await writeDurably(dataDir, PINNED_CATALOG, canonicalBytes(file));
  return { file, approvers: [], isNew: true };
}

async function readFileIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readIfThere(path);
  } catch (cause) {
    throw new StoreError("ERR_FILE_READ", `cannot read ${path}`, { cause });
  }
}
