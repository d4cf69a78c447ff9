/**
 * Signs promises (kernel/promise.ts) for entries that are durable: of single entries once for each flush that somebody asks
 * about, of a submission once for each run of consecutive indexes. Nothing is signed or hashed for whoever does not ask.
 */

import { type LeafHash, type LeafHashes, splitLeaves } from "../../kernel/merkle/hash.ts";
import { LeafTree } from "../../kernel/merkle/leaf-tree.ts";
import { type BatchPromise, type LeafPromise, leafPromiseOf, signPromise } from "../../kernel/promise.ts";
import type { Clock } from "../../kernel/service/service.ts";
import type { EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { Flush } from "../sequence/proposal.ts";

/** What promises are made with. */
export interface PromiseDeskParts {
  readonly origin: string;
  /** The log's Ed25519 checkpoint key, as it is now. */
  readonly signer: () => EnvelopeSigner;
  /** Time that the log gives itself until a quorum has seen an entry. */
  readonly promiseSeconds: number;
  readonly clock: Clock;
  /** Told of every promise that was signed. */
  readonly onSigned: () => void;
}

/** Leaves with consecutive indexes. */
export interface LeafRun {
  readonly firstIndex: bigint;
  readonly leaves: readonly LeafHash[] | LeafHashes;
}

/** A leaf in the log, and the flush that was synced when its index was told. */
export interface PlacedLeaf {
  readonly index: bigint;
  readonly leaf: LeafHash;
  readonly flush: Flush;
}

interface SignedRun {
  readonly promise: BatchPromise;
  readonly tree: LeafTree;
}

/** Makes promises on demand. */
export class PromiseDesk {
  readonly #parts: PromiseDeskParts;
  /** What was signed of a flush, as long as anybody who asks may still hold it. */
  readonly #signed = new WeakMap<Flush, SignedRun>();

  constructor(parts: PromiseDeskParts) {
    this.#parts = parts;
  }

  /** The promise of one entry: that of its flush, or one of its own if an earlier flush brought it. */
  promiseLeaf({ index, leaf, flush }: PlacedLeaf): LeafPromise {
    if (index < flush.firstIndex) {
      const { promise, tree } = this.#sign({ firstIndex: index, leaves: [leaf] });
      return leafPromiseOf(promise, tree, 0);
    }
    const { promise, tree } = this.#signFlush(flush);
    return leafPromiseOf(promise, tree, Number(index - flush.firstIndex));
  }

  /** The promise of consecutive entries; their paths follow from the leaves that the client has. */
  promiseRun(run: LeafRun): BatchPromise {
    return this.#sign(run).promise;
  }

  #signFlush(flush: Flush): SignedRun {
    const known = this.#signed.get(flush);
    if (known !== undefined) return known;
    const signed = this.#sign({ firstIndex: flush.firstIndex, leaves: splitLeaves(flush.leaves) });
    this.#signed.set(flush, signed);
    return signed;
  }

  #sign({ firstIndex, leaves: given }: LeafRun): SignedRun {
    const leaves = given instanceof Uint8Array ? splitLeaves(given) : given;
    const { origin, signer, promiseSeconds, clock, onSigned } = this.#parts;
    const tree = new LeafTree(leaves);
    const deadline = formatTimestamp(clock.nowMs() + promiseSeconds * 1000);
    const promise = signPromise({ origin, firstIndex, count: leaves.length, root: tree.root(), deadline }, signer());
    onSigned();
    return { promise, tree };
  }
}
