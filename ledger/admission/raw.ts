/** Admission to a log of kind `raw`: any bytes are an entry; equal bytes are the same entry. */

import { FormatError } from "../../kernel/errors.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { MAX_ENTRY_BYTES } from "../../kernel/tile/entry-bundle.ts";
import type { PlacedLeaf } from "../promise/promise-desk.ts";
import type { Flush, Sequencer } from "../sequence/proposal.ts";

/**
 * Appends one entry; resolves to its index once it is durable, or to the index of the first equal entry.
 *
 * @throws {FormatError} ERR_ENTRY_LENGTH unless 1 to 65,535 bytes
 * @throws {StoreError} ERR_QUEUE_FULL, ERR_LEDGER_STOPPED
 */
export function appendRaw(sequencer: Sequencer, bytes: Uint8Array): Promise<bigint> {
  return append(sequencer, bytes, (index) => index);
}

/** `appendRaw` that resolves to what a promise is made of. */
export function appendRawPlaced(sequencer: Sequencer, bytes: Uint8Array): Promise<PlacedLeaf> {
  return append(sequencer, bytes, (index, leaf, flush) => ({ index, leaf, flush }));
}

function append<A>(
  sequencer: Sequencer,
  bytes: Uint8Array,
  answer: (index: bigint, leaf: LeafHash, flush: Flush) => A,
): Promise<A> {
  if (bytes.length === 0 || bytes.length > MAX_ENTRY_BYTES) {
    return Promise.reject(
      new FormatError("ERR_ENTRY_LENGTH", `want an entry of 1 to ${MAX_ENTRY_BYTES} bytes, got ${bytes.length}`),
    );
  }
  const entry = { bytes, leaf: hashLeaf(bytes) };
  return sequencer.submit({
    entries: [entry],
    decide: (known, next) => {
      const first = known(entry.leaf);
      return {
        entries: first === undefined ? [entry] : [],
        settle: (flush) => answer(first ?? next, entry.leaf, flush),
      };
    },
  });
}
