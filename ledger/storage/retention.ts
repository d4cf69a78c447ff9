/**
 * The minimum index of a log (C2SP tlog-tiles, pruning) and the policy that it follows from, in the file `retention` of the
 * data folder. Bundles that end at or below the minimum index are refused, and may be deleted; hash tiles stay, so every
 * proof stays obtainable. The minimum index never goes back.
 */

import { createHash } from "node:crypto";
import { CheckError, StoreError } from "../../kernel/errors.ts";
import { canonicalBytes, parseCanonical } from "../../kernel/json/canonical.ts";
import { hex64Shape } from "../../kernel/receipt/fields.ts";
import { integer, literal, object, readShape, type Shape, string } from "../../kernel/shape.ts";
import type { TileRef } from "../../kernel/tile/path.ts";
import type { Disk } from "./disk.ts";
import { replaceFile } from "./durable-file.ts";

/** File of the retention in the data folder. */
export const RETENTION_PATH = "retention";

const TILE_WIDTH = 256;

/** What a log refuses to show, and by which policy. */
export type Retention = {
  readonly kind: "retention";
  readonly v: 1;
  /** Entries below may be gone. */
  readonly minimum_index: number;
  /** Where the published retention policy stands, or what it is called. SPEC tlog-tiles: without one the minimum is 0. */
  readonly policy: string;
};

/** The file: the retention, and the hex SHA-256 of its canonical bytes, so that damage shows. */
type RetentionFile = Retention & { readonly digest: string };

const shape: Shape<RetentionFile> = object<RetentionFile>({
  kind: literal("retention"),
  v: literal(1),
  minimum_index: integer(),
  policy: string({ pattern: /^[!-~](?:[ -~]*[!-~])?$/u, maxLength: 2048, description: "a line of printable ASCII" }),
  digest: hex64Shape,
});

/**
 * The retention of a data folder; undefined if nothing was ever pruned.
 *
 * @throws {StoreError} ERR_RETENTION, fatal, if the file is damaged: what was refused must not come back
 */
export async function readRetention(disk: Pick<Disk, "read">): Promise<Retention | undefined> {
  const bytes = await disk.read(RETENTION_PATH);
  if (bytes === undefined) return undefined;
  try {
    const { digest, ...retention } = readShape(shape, parseCanonical(bytes), "retention");
    if (digest !== digestOf(retention)) throw new CheckError("ERR_RETENTION", "the digest is of another content");
    return retention;
  } catch (cause) {
    throw new StoreError("ERR_RETENTION", "the file `retention` is damaged", { cause, fatal: true });
  }
}

/** Records a retention; durable when it resolves. @throws {FormatError} ERR_SHAPE */
export async function writeRetention(disk: Disk, retention: Retention): Promise<void> {
  await replaceFile(disk, { path: RETENTION_PATH, bytes: formatRetention(retention) });
}

/** Bytes of the file. @throws {FormatError} ERR_SHAPE */
export function formatRetention(retention: Retention): Uint8Array {
  return canonicalBytes(readShape(shape, { ...retention, digest: digestOf(retention) }, "retention"));
}

function digestOf(retention: Retention): string {
  return createHash("sha256").update(canonicalBytes(retention)).digest("hex");
}

/** The refusal of such a bundle. */
export function prunedBelow(minimumIndex: bigint): CheckError {
  return new CheckError("ERR_PRUNED", `the log shows entries from ${minimumIndex} on`);
}

/** True for a full bundle that ends at or below the minimum index. */
export function isPruned(ref: TileRef, minimumIndex: bigint): boolean {
  return ref.kind === "entries" && ref.width === TILE_WIDTH && (ref.index + 1n) * BigInt(TILE_WIDTH) <= minimumIndex;
}
