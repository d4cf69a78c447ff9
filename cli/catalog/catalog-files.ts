/** Catalog files as the command reads them: one that is proposed or signed, or one without version. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { PINNED_CATALOG } from "../../gateway/catalog/approved-catalog.ts";
import {
  type CatalogFile,
  parseCatalog,
  parseRevisedCatalog,
  type StoredCatalog,
} from "../../gateway/catalog/catalog-file.ts";
import type { GatewayConfig } from "../../gateway/config.ts";
import { FormatError, isCodedError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { readBytes } from "../files.ts";

/** A catalog with its signatures, if it has any. */
export type ReadCatalog = Omit<StoredCatalog, "file"> & { readonly file: CatalogFile };

/**
 * Reads a catalog file of either form.
 *
 * @throws {StoreError} ERR_FILE_READ
 * @throws {FormatError} ERR_CATALOG, ERR_SHAPE, ERR_JSON_*, naming the file
 */
export function readCatalogFile(path: string): ReadCatalog {
  const bytes = readBytes(path);
  try {
    const value = parseJson(bytes, { maxBytes: bytes.length });
    const isRevised = isJsonObject(value) && Object.hasOwn(value, "version");
    return isRevised ? parseRevisedCatalog(bytes) : { file: parseCatalog(value), signatures: [] };
  } catch (error) {
    if (!isCodedError(error)) throw error;
    throw new FormatError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}

/** As `readCatalogFile`, for what is meant to be signed. @throws {FormatError} ERR_CATALOG for one without version */
export function readRevisedFile(path: string): StoredCatalog {
  const { file, signatures } = readCatalogFile(path);
  const { version, previous, overrides } = file;
  if (version === undefined || previous === undefined || overrides === undefined) {
    throw new FormatError("ERR_CATALOG", `${path}: want a catalog that "countersign catalog pin" proposed`);
  }
  return { file: { ...file, version, previous, overrides }, signatures };
}

/** The catalog that a gateway uses now: the configured file, else the one pinned at first use, if there is one. */
export function pathInUse({ catalog, data_dir }: Pick<GatewayConfig, "catalog" | "data_dir">): string | undefined {
  const path = catalog !== undefined && "file" in catalog ? catalog.file : join(data_dir, PINNED_CATALOG);
  return existsSync(path) ? path : undefined;
}
