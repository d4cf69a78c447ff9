/**
 * Refused receipts of forks, as evidence for whoever may read the log: those of this run, of the write-ahead log, and of
 * the archive, which is read once, when somebody first asks. What is kept in memory is bounded.
 */

import { classifyEntry } from "../../kernel/entry-kind.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { parseReceipt, receiptHash } from "../../kernel/receipt/receipt.ts";
import { checkStreamForkFile, formatStreamFork } from "../../kernel/stream/fork-evidence.ts";
import type { Disk } from "../storage/disk.ts";
import { readFrame } from "../storage/wal-frame.ts";
import { NO_SALT } from "../storage/wal-salt.ts";
import type { Tree } from "../tree/tree.ts";
import type { StreamBook } from "./stream-book.ts";

/** Where the book looks. */
export interface ForkBookParts {
  readonly disk: Pick<Disk, "list" | "read">;
  readonly tree: Tree;
  readonly streams: StreamBook;
  /** Refused receipts that the write-ahead log held at start. */
  readonly found: readonly Uint8Array[];
}

const ARCHIVE = "archive";
const MAX_PER_STREAM = 256;
const MAX_BYTES = 64 * 1024 * 1024;

/** Evidence of forked streams. */
export interface ForkEvidence {
  /** Adds a refused receipt, durable already; the same one twice counts once. */
  readonly add: (bytes: Uint8Array) => void;
  /** The forks of a registered stream, each as a checked document of its own. */
  readonly evidence: (stream: string) => Promise<readonly Uint8Array[]>;
}

/** The refused receipts of a log. */
export class ForkBook implements ForkEvidence {
  readonly #parts: ForkBookParts;
  /** By stream, then by receipt hash. */
  readonly #refused = new Map<string, Map<string, Uint8Array>>();
  #bytes = 0;
  #archive: Promise<void> | undefined;

  constructor(parts: ForkBookParts) {
    this.#parts = parts;
    for (const bytes of parts.found) this.add(bytes);
  }

  /** Adds a refused receipt, durable already; the same one twice counts once. */
  add(bytes: Uint8Array): void {
    // Trust records whose name was taken are kept beside, and are of no stream.
    if (classifyEntry(bytes).form !== "envelope") return;
    const { stream } = parseReceipt(bytes);
    const ofStream = this.#refused.get(stream) ?? new Map<string, Uint8Array>();
    const hash = formatHex(receiptHash(bytes));
    if (ofStream.has(hash) || ofStream.size >= MAX_PER_STREAM || this.#bytes + bytes.length > MAX_BYTES) return;
    ofStream.set(hash, bytes.slice());
    this.#refused.set(stream, ofStream);
    this.#bytes += bytes.length;
  }

  /**
   * The forks of a registered stream, each as a document of its own (docs/formats/fork-evidence.md) that was checked.
   *
   * @throws {StoreError} if the archive cannot be read
   */
  async evidence(stream: string): Promise<readonly Uint8Array[]> {
    this.#archive ??= this.#readArchive().catch((error: unknown) => {
      this.#archive = undefined;
      throw error;
    });
    await this.#archive;
    const documents: Uint8Array[] = [];
    for (const refused of this.#refused.get(stream)?.values() ?? []) {
      const document = await this.#document(stream, refused);
      if (document !== undefined) documents.push(document);
    }
    return documents;
  }

  /** Undefined if it proves nothing: a refused receipt of a segment may turn out to have a false signature. */
  async #document(stream: string, refused: Uint8Array): Promise<Uint8Array | undefined> {
    const { tree, streams } = this.#parts;
    const account = streams.find(stream);
    if (account === undefined) return undefined;
    const place = await streams.indexOf(stream, parseReceipt(refused).seq);
    const registration = await tree.readEntry(BigInt(account.registration.index));
    const logged = await tree.readEntry(place);
    try {
      const document = formatStreamFork({ registration, logged, refused });
      checkStreamForkFile(document);
      return document;
    } catch (error) {
      if (isCodedError(error)) return undefined;
      throw error;
    }
  }

  /** One file after the other, so that the memory holds one. */
  async #readArchive(): Promise<void> {
    const { disk } = this.#parts;
    for (const name of (await disk.list(ARCHIVE)).filter((each) => each.endsWith(".frames"))) {
      const bytes = (await disk.read(`${ARCHIVE}/${name}`)) ?? new Uint8Array(0);
      for (const record of readFrame(bytes, 0, NO_SALT)?.records ?? [])
        if (record.kind === "conflict") this.add(record.bytes);
    }
  }
}
