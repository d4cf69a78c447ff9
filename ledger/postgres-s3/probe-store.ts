/**
 * Whether a store does what the driver rests on. Stores that ignore a condition answer 200 and overwrite; on one of these two
 * integrators could publish over each other, so the ledger does not start.
 */

import { randomUUID } from "node:crypto";
import { equalBytes, formatUtf8 } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import type { ObjectStore } from "./object-store.ts";

const HEADERS = { contentType: "text/plain; charset=utf-8", cacheControl: "no-store" } as const;
const FOREIGN_ETAG = '"00000000000000000000000000000000"';

/**
 * Writes, replaces and removes one object under `probe/`.
 *
 * @throws {StoreError} ERR_CONDITIONAL_WRITE, fatal; ERR_OBJECT_STORE
 */
export async function probeStore(store: ObjectStore): Promise<void> {
  const key = `probe/${randomUUID()}`;
  const [first, second] = [formatUtf8("first"), formatUtf8("second")];
  try {
    want((await store.create(key, first, HEADERS)) === "created", "a first write with If-None-Match is refused");
    want((await store.create(key, second, HEADERS)) === "exists", "If-None-Match does not keep an object");
    const written = await store.get(key);
    want(written !== undefined && equalBytes(written.bytes, first), "a write cannot be read back");
    want((await store.replace(key, second, HEADERS, FOREIGN_ETAG)) === "changed", "If-Match takes a foreign etag");
    want((await store.replace(key, second, HEADERS, written?.etag ?? "")) === "replaced", "If-Match refuses its etag");
    const replaced = await store.get(key);
    want(replaced !== undefined && equalBytes(replaced.bytes, second), "a replaced object cannot be read back");
    want(replaced?.etag !== written?.etag, "two contents have one etag");
  } finally {
    await store.remove(key).catch(() => undefined);
  }
}

function want(isSo: boolean, what: string): void {
  if (!isSo)
    throw new StoreError("ERR_CONDITIONAL_WRITE", `the object store fails the probe: ${what}`, { fatal: true });
}
