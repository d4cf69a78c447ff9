/** The version and digest of a signed document that was in force last, kept in the data folder: none that is older comes after it. */

import { join } from "node:path";
import { StoreError } from "../kernel/errors.ts";
import { canonicalBytes } from "../kernel/json/canonical.ts";
import { parseJson } from "../kernel/json/parse.ts";
import { digestShape } from "../kernel/receipt/fields.ts";
import { integer, literal, object, readShape, type Shape } from "../kernel/shape.ts";
import { readIfThere } from "./receipts/read-if-there.ts";
import { writeDurably } from "./receipts/write-durably.ts";

/** What was in force last. */
export type VersionFloor = { readonly version: number; readonly digest: string };

type FloorFile = VersionFloor & { readonly v: 1 };

const floorShape: Shape<FloorFile> = object<FloorFile>({
  v: literal(1),
  version: integer({ min: 1 }),
  digest: digestShape,
});

/**
 * Reads the floor in `name`; undefined if there is none.
 *
 * @throws {StoreError} ERR_FILE_READ
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE
 */
export async function readFloor(dataDir: string, name: string): Promise<VersionFloor | undefined> {
  const path = join(dataDir, name);
  const bytes = await readIfThere(path).catch((cause: unknown) => {
    throw new StoreError("ERR_FILE_READ", `cannot read ${path}`, { cause });
  });
  return bytes === undefined ? undefined : readShape(floorShape, parseJson(new Uint8Array(bytes)), name);
}

/** From now on nothing older is taken; durable when it resolves. */
export async function rememberFloor(dataDir: string, name: string, { version, digest }: VersionFloor): Promise<void> {
  await writeDurably(dataDir, name, canonicalBytes({ v: 1, version, digest }));
}
