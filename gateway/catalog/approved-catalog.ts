/**
 * The approved catalog of a run: the file that the configuration names, or the one that the first start pinned in the
 * data folder. A pinned one is never replaced: what changes afterwards is drift.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../../kernel/errors.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { writeDurably } from "../receipts/write-durably.ts";
import { type CatalogFile, type ListedServer, parseCatalog, pinFirstUse } from "./catalog-file.ts";

/** Name of the pinned catalog in the data folder. */
export const PINNED_CATALOG = "catalog.json";

const MAX_CATALOG_BYTES = 64 * 1024 * 1024;

/**
 * Reads the catalog, or pins what is listed now.
 *
 * @param configured  content of the configured file; undefined if the first use is pinned
 * @returns the catalog, and whether it was pinned just now
 * @throws {FormatError} ERR_SHAPE, ERR_CATALOG, ERR_JSON_*
 * @throws {StoreError} ERR_FILE_READ
 */
export async function readApprovedCatalog(
  dataDir: string,
  configured: JsonValue | undefined,
  listed: readonly ListedServer[],
): Promise<{ readonly file: CatalogFile; readonly isNew: boolean }> {
  if (configured !== undefined) return { file: parseCatalog(configured), isNew: false };
  const pinned = await readPinned(join(dataDir, PINNED_CATALOG));
  if (pinned !== undefined) return { file: parseCatalog(pinned), isNew: false };
  // What was pinned is read back as any catalog is, so that a start that would refuse it refuses it now.
  const file = parseCatalog(pinFirstUse(listed));
  await writeDurably(dataDir, PINNED_CATALOG, canonicalBytes(file));
  return { file, isNew: true };
}

async function readPinned(path: string): Promise<JsonValue | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await readFile(path));
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new StoreError("ERR_FILE_READ", `cannot read ${path}`, { cause });
  }
  return parseJson(bytes, { maxBytes: MAX_CATALOG_BYTES });
}
