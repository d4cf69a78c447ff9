/**
 * Asks, before a node takes or signs anything, whether others have seen more of the log than its database has indexes for: the
 * bucket, and the witnesses. A database that was put back from a copy gives indexes out again that were acknowledged, whoever
 * integrates; nothing in it could tell. Whether what they have seen is of this log's tree, each term of an integrator checks.
 */

import { CheckError, StoreError } from "../../kernel/errors.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import { openLogCheckpoint, parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { endpointsOf } from "../checkpoint/cosigning.ts";
import { FIRST_ROUND_MS } from "../checkpoint/first-round.ts";
import { CHECKPOINT_PATH } from "../checkpoint/publisher.ts";
import { readWitnessView } from "../checkpoint/witness-view.ts";
import { LEDGER_DEFAULTS } from "../config.ts";
import type { LedgerOptions } from "../options.ts";
import type { HeadWatch } from "./head-watch.ts";
import type { ObjectStore } from "./object-store.ts";

/** Who is asked, and what the database says. */
export interface SeenElsewhereParts {
  readonly options: LedgerOptions;
  readonly store: Pick<ObjectStore, "get">;
  readonly watch: Pick<HeadWatch, "next" | "refresh">;
  /** Every key of the log that is configured, or that the database knows of. */
  readonly logKeys: readonly VerifierKey[];
}

/**
 * A witness that does not answer in time, or answers nonsense, is logged and changes nothing.
 *
 * @throws {StoreError} ERR_LOG_BEHIND, fatal, if the bucket has a larger checkpoint, or a bundle beyond the next index
 * @throws {CheckError} ERR_WITNESS_AHEAD if a witness shows a larger checkpoint, signed by this log
 * @throws as `openLogCheckpoint` for an object `checkpoint` that no key of the log signed; {StoreError} ERR_DATABASE, ERR_OBJECT_STORE
 */
export async function checkSeenElsewhere(parts: SeenElsewhereParts): Promise<void> {
  const { store, watch, logKeys } = parts;
  const object = await store.get(CHECKPOINT_PATH);
  const shown = object === undefined ? 0n : openLogCheckpoint(object.bytes, logKeys).checkpoint.size;
  const seen = await askWitnesses(parts);
  // Behind all the questions: other nodes may have published meanwhile, and what is published has indexes.
  await watch.refresh();
  if (shown > watch.next) throw behind(`the object ${CHECKPOINT_PATH} has size ${shown}`, watch.next);
  const ahead = seen.find(({ size }) => size > watch.next);
  if (ahead !== undefined) {
    const what = `${ahead.url} shows a checkpoint of size ${ahead.size}, the database has ${watch.next} entries`;
    throw new CheckError("ERR_WITNESS_AHEAD", what);
  }
  await checkBundle(parts);
}

/** A full bundle is stored only of entries that were sequenced: of the one that the next index is in there is none. */
async function checkBundle({ store, watch }: SeenElsewhereParts): Promise<void> {
  const index = watch.next / BigInt(TILE_WIDTH);
  const path = formatTilePath({ kind: "entries", index, width: TILE_WIDTH });
  if ((await store.get(path)) === undefined) return;
  await watch.refresh();
  if (watch.next < (index + 1n) * BigInt(TILE_WIDTH)) throw behind(`the object store has ${path}`, watch.next);
}

async function askWitnesses({
  options,
  logKeys,
}: SeenElsewhereParts): Promise<readonly { readonly url: string; readonly size: bigint }[]> {
  const { config, logger } = options;
  const timeoutMs = Math.min(FIRST_ROUND_MS, config.witness_timeout_ms ?? LEDGER_DEFAULTS.witnessTimeoutMs);
  const reach = { origin: config.origin, logKeys, fetch: options.fetch ?? fetch, timeoutMs };
  const asked = endpointsOf(parseWitnessPolicy(config.witness_policy)).map(async ({ url }) => {
    const view = await readWitnessView(url, reach);
    if (typeof view === "object") return { url, size: view.size };
    if (view !== undefined) logger.warn({ witness: url, reason: view }, "a witness did not say what it has seen");
    return { url, size: 0n };
  });
  return Promise.all(asked);
}

function behind(what: string, next: bigint): StoreError {
  return new StoreError("ERR_LOG_BEHIND", `${what}, the database has ${next} entries`, { fatal: true });
}
