/**
 * Makes COSE receipts for the statements of a log, over the newest root that the log has signed: that root is durable and
 * recorded, so a receipt never says what a restart could not derive again. One tree, one set of leaf hashes: the same leaf
 * has a log proof too.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { signConsistencyReceipt } from "../../kernel/cose/consistency-receipt.ts";
import { signInclusionReceipt } from "../../kernel/cose/inclusion-receipt.ts";
import { issuerOfLog } from "../../kernel/cose/receipt.ts";
import { parseStatement, type Statement, statementEntry } from "../../kernel/cose/statement.ts";
import { classifyEntry } from "../../kernel/entry-kind.ts";
import { CheckError, invariant } from "../../kernel/errors.ts";
import { rootFromConsistency } from "../../kernel/merkle/consistency-proof.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { rootFromInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { proveConsistency, proveInclusion, readRoot } from "../../kernel/merkle/prove.ts";
import type { EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { appendRaw } from "../admission/raw.ts";
import type { LoggedCheckpoints } from "../checkpoint/checkpointer.ts";
import type { LogProofs } from "../checkpoint/log-proofs.ts";
import type { Sequencer } from "../sequence/proposal.ts";
import type { Tree } from "../tree/tree.ts";

/** What the desk works with. */
export interface ReceiptDeskParts {
  readonly origin: string;
  readonly sequencer: Sequencer;
  readonly tree: Tree;
  readonly proofs: LogProofs;
  readonly checkpointer: LoggedCheckpoints;
  readonly signer: EnvelopeSigner;
}

/** A statement that is in the log. */
export interface RegisteredStatement {
  readonly leaf: LeafHash;
  readonly index: bigint;
  readonly subject: string;
}

/** The statements of one log. */
export class ReceiptDesk {
  readonly #parts: ReceiptDeskParts;

  constructor(parts: ReceiptDeskParts) {
    this.#parts = parts;
  }

  /**
   * Appends a statement, its unprotected header emptied; resolves once it is durable. A statement that is there already
   * gets the place of the first.
   *
   * @throws {FormatError} ERR_ENTRY_LENGTH
   * @throws {StoreError} ERR_QUEUE_FULL, ERR_LEDGER_STOPPED
   */
  async register(statement: Statement): Promise<RegisteredStatement> {
    const entry = statementEntry(statement);
    const index = await appendRaw(this.#parts.sequencer, entry);
    return { leaf: hashLeaf(entry), index, subject: statement.subject };
  }

  /**
   * The statement with this leaf hash.
   *
   * @throws {CheckError} ERR_ENTRY_UNKNOWN if no durable entry has it, or the entry is no statement
   */
  async find(leaf: LeafHash): Promise<RegisteredStatement> {
    const { proofs, tree } = this.#parts;
    const index = await proofs.findLeaf(leaf);
    const entry = index === undefined || index >= tree.size ? undefined : await tree.readEntry(index);
    if (index === undefined || entry === undefined || classifyEntry(entry).form !== "statement") {
      throw new CheckError("ERR_ENTRY_UNKNOWN", "no statement has this leaf hash");
    }
    return { leaf, index, subject: parseStatement(entry).subject };
  }

  /** Resolves to true once a receipt can be made, or to false when `signal` aborts first. */
  waitFor({ index }: RegisteredStatement, signal: AbortSignal): Promise<boolean> {
    return this.#parts.checkpointer.sizes.waitFor(index, signal);
  }

  /** The receipt over the newest signed root; undefined while no signed checkpoint covers the statement. */
  async makeReceipt({ leaf, index, subject }: RegisteredStatement): Promise<Uint8Array | undefined> {
    const { origin, tree, checkpointer, signer } = this.#parts;
    const { logged } = checkpointer;
    if (logged === undefined || index >= logged.size) return undefined;
    const { size, root } = logged;
    const proof = await proveInclusion(index, size, tree.reader(size));
    const path = { leaf, index, size, proof };
    invariant(equalBytes(rootFromInclusion(path), root), "a path to another root than the one that the log signed");
    return signInclusionReceipt({ ...path, issuer: issuerOfLog(origin), subject }, signer);
  }

  /**
   * A receipt that the tree of `oldSize` leaves is a prefix of the newest one whose root the log has signed.
   *
   * @throws {CheckError} ERR_SIZE_RANGE unless 0 < old size < the newest signed size: RFC 9942 expresses nothing else
   */
  async makeConsistency(oldSize: bigint): Promise<Uint8Array> {
    const { origin, tree, checkpointer, signer } = this.#parts;
    const { size = 0n, root } = checkpointer.logged ?? {};
    if (oldSize === 0n || oldSize >= size || root === undefined) {
      throw new CheckError("ERR_SIZE_RANGE", `want an old size above 0 and below ${size}, the newest that was signed`);
    }
    const [reader, old] = [tree.reader(size), tree.reader(oldSize)];
    const proof = await proveConsistency(oldSize, size, reader);
    const path = { oldSize, oldRoot: await readRoot(oldSize, old), size, proof };
    invariant(equalBytes(rootFromConsistency(path), root), "a path to another root than the one that the log signed");
    return signConsistencyReceipt({ ...path, issuer: issuerOfLog(origin) }, signer);
  }
}
