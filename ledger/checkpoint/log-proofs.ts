/** Makes log proofs (C2SP tlog-proof) against the published checkpoint, or the newest logged one if that is asked for. */

import { CheckError } from "../../kernel/errors.ts";
import { formatLogProof } from "../../kernel/log-proof.ts";
import type { LeafHash } from "../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import type { LeafIndex } from "../sequence/entry-index.ts";
import type { Tree } from "../tree/tree.ts";
import type { LoggedCheckpoints } from "./checkpointer.ts";
import type { PublishedCheckpoints } from "./publisher.ts";

/** `cosigned`: the checkpoint met the quorum. `logged`: only the log signed it. */
export type ProofState = "cosigned" | "logged";

/** What proofs are made from. */
export interface LogProofParts {
  readonly tree: Tree;
  readonly index: LeafIndex;
  readonly checkpointer: LoggedCheckpoints;
  readonly publisher: PublishedCheckpoints;
}

/** Which proof is wanted, and how long its making may wait for witnesses. */
export interface ProofRequest {
  readonly index: bigint;
  /** Ends the wait for a witnessed checkpoint. */
  readonly signal: AbortSignal;
  /** Whether a proof without cosignatures will do when the wait ends. */
  readonly acceptLogged: boolean;
}

/** Proof maker of one log. */
export class LogProofs {
  readonly #parts: LogProofParts;

  constructor(parts: LogProofParts) {
    this.#parts = parts;
  }

  /** Index of the first entry with this leaf hash; undefined if there is none. */
  async findLeaf(leaf: LeafHash): Promise<bigint | undefined> {
    const known = await this.#parts.index.find([leaf]);
    return known(leaf);
  }

  /**
   * The log proof of the entry at `index`, waiting for witnesses until `signal` aborts.
   *
   * @throws {CheckError} ERR_ENTRY_UNKNOWN if no checkpoint of the wanted state covers the index
   */
  async prove({ index, signal, acceptLogged }: ProofRequest): Promise<{ state: ProofState; text: string }> {
    const { publisher, checkpointer, tree } = this.#parts;
    if (index < tree.size) await publisher.waitFor(index, signal);
    const { published } = publisher;
    if (published !== undefined && index < published.size) {
      return { state: "cosigned", text: await this.#format(index, published) };
    }
    const { logged } = checkpointer;
    if (acceptLogged && logged !== undefined && index < logged.size) {
      return { state: "logged", text: await this.#format(index, logged) };
    }
    throw new CheckError("ERR_ENTRY_UNKNOWN", `no ${acceptLogged ? "" : "witnessed "}checkpoint covers entry ${index}`);
  }

  async #format(index: bigint, { size, note }: { readonly size: bigint; readonly note: string }): Promise<string> {
    const proof = await proveInclusion(index, size, this.#parts.tree.reader(size));
    return formatLogProof({ index, proof, checkpoint: note });
  }
}
