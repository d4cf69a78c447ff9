/** Makes the status document of a log (docs/formats/log-status.md) under its published checkpoint. */

import { CheckError, invariant } from "../../kernel/errors.ts";
import { parseCanonical } from "../../kernel/json/canonical.ts";
import { isJsonObject } from "../../kernel/json/value.ts";
import { formatLogStatus, type ShownEntry } from "../../kernel/lifecycle/log-status.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import type { PublishedCheckpoint, PublishedCheckpoints } from "../checkpoint/publisher.ts";
import type { Tree } from "../tree/tree.ts";
import type { StatementBook } from "./statement-book.ts";

/** What the document is made of. */
export interface StatusDeskParts {
  readonly tree: Tree;
  readonly book: StatementBook;
  readonly publisher: Pick<PublishedCheckpoints, "published">;
  /** Whether anybody may read entries: then the last one is shown. */
  readonly isPublic: boolean;
}

/** The status of one log; the document is made once for each published checkpoint. */
export class StatusDesk {
  readonly #parts: StatusDeskParts;
  #made: { readonly note: string; readonly bytes: Promise<Uint8Array> } | undefined;

  constructor(parts: StatusDeskParts) {
    this.#parts = parts;
  }

  /** The document's bytes. @throws {CheckError} ERR_NOT_PUBLISHED */
  async document(): Promise<Uint8Array> {
    const { published } = this.#parts.publisher;
    if (published === undefined) throw new CheckError("ERR_NOT_PUBLISHED", "no checkpoint has been published yet");
    if (this.#made?.note !== published.note) this.#made = { note: published.note, bytes: this.#make(published) };
    return this.#made.bytes;
  }

  async #make({ note, size }: PublishedCheckpoint): Promise<Uint8Array> {
    const { book, tree, isPublic } = this.#parts;
    const show = async (index: bigint, bytes: Uint8Array): Promise<ShownEntry> => {
      const entry = parseCanonical(bytes);
      invariant(isJsonObject(entry), "a statement is an object");
      return { index: Number(index), entry, proof: await proveInclusion(index, size, tree.reader(size)) };
    };
    const statements: ShownEntry[] = [];
    for (const { index, bytes } of book.statements) if (index < size) statements.push(await show(index, bytes));
    const last = await tree.readEntry(size - 1n);
    return formatLogStatus({
      checkpoint: note,
      genesis: await show(0n, book.genesis),
      statements,
      last: {
        leaf: hashLeaf(last),
        proof: await proveInclusion(size - 1n, size, tree.reader(size)),
        ...(isPublic ? { entry: last } : {}),
      },
    });
  }
}
