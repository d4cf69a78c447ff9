/**
 * A durable list of targets, in one small file that is replaced at once or not at all:
 *
 *     {"v": 1, "entries": [{"target", "since", "reason", "by"}]}
 *
 * A file that cannot be read stops the start: what an operator has stopped stays stopped. An addition holds in memory
 * before it is on disk; a removal is on disk before it holds.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { hex64Shape } from "../../kernel/receipt/fields.ts";
import { type ReasonCode, reasonShape } from "../../kernel/receipt/reasons.ts";
import {
  array,
  literal,
  mapped,
  nullable,
  object,
  readShape,
  type Shape,
  string,
  timestamp,
} from "../../kernel/shape.ts";
import type { Timestamp } from "../../kernel/time.ts";
import { writeDurably } from "../receipts/write-durably.ts";
import { type ControlTarget, readTarget } from "./control-target.ts";

/** One entry. */
export type ControlEntry = {
  readonly target: ControlTarget;
  readonly since: Timestamp;
  readonly reason: ReasonCode;
  /** Keyed hash of who did it; null if the gateway did, by a rule. */
  readonly by: string | null;
};

type ControlFile = { readonly v: 1; readonly entries: readonly ControlEntry[] };

const MAX_ENTRIES = 10_000;
const MAX_FILE_BYTES = 8 * 1024 * 1024;

const fileShape: Shape<ControlFile> = object<ControlFile>({
  v: literal(1),
  entries: array(
    object<ControlEntry>({
      target: mapped(string({ maxLength: 300 }), readTarget),
      since: timestamp(),
      reason: reasonShape,
      by: nullable(hex64Shape),
    }),
    { max: MAX_ENTRIES },
  ),
});

/** The list; one process has it. */
export class ControlList {
  readonly #folder: string;
  readonly #name: string;
  readonly #entries: Map<ControlTarget, ControlEntry>;
  #written: Promise<void> = Promise.resolve();

  private constructor(folder: string, name: string, entries: readonly ControlEntry[]) {
    this.#folder = folder;
    this.#name = name;
    this.#entries = new Map(entries.map((entry) => [entry.target, entry]));
  }

  /** @throws {StoreError} ERR_CONTROL_FILE: it is there and cannot be read */
  static async open(folder: string, name: string): Promise<ControlList> {
    return new ControlList(folder, name, await readEntries(join(folder, name)));
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** In the order of their beginning. */
  entries(): readonly ControlEntry[] {
    return [...this.#entries.values()];
  }

  find(targets: readonly ControlTarget[]): ControlEntry | undefined {
    const target = targets.find((one) => this.#entries.has(one));
    return target === undefined ? undefined : this.#entries.get(target);
  }

  /**
   * Holds at once, and is durable when the promise resolves; one that is there stays as it is.
   *
   * @throws {StoreError} ERR_CONTROL_FULL; ERR_CONTROL_FILE: it holds, and does not survive the process
   */
  async add(entry: ControlEntry): Promise<void> {
    if (this.#entries.has(entry.target)) return this.#written;
    if (this.#entries.size >= MAX_ENTRIES) throw new StoreError("ERR_CONTROL_FULL", "the list of targets is full");
    this.#entries.set(entry.target, entry);
    await this.#write(() => this.entries());
  }

  /** Is durable before it holds. @throws {StoreError} ERR_CONTROL_FILE: nothing has changed */
  async remove(target: ControlTarget): Promise<void> {
    await this.#write(() => this.entries().filter((entry) => entry.target !== target));
    this.#entries.delete(target);
  }

  /** Writes stand in a row; each writes what holds when its turn comes. */
  #write(entries: () => readonly ControlEntry[]): Promise<void> {
    const written = this.#written.then(async () => {
      const content: ControlFile = { v: 1, entries: entries() };
      await writeDurably(this.#folder, this.#name, `${JSON.stringify(content)}\n`).catch((cause: unknown) => {
        throw new StoreError("ERR_CONTROL_FILE", `${this.#name} cannot be written`, { cause });
      });
    });
    this.#written = written.catch(() => undefined);
    return written;
  }
}

async function readEntries(path: string): Promise<readonly ControlEntry[]> {
  try {
    const bytes = await readFile(path);
    return readShape(fileShape, parseJson(new Uint8Array(bytes), { maxBytes: MAX_FILE_BYTES }), "file").entries;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return [];
    const why = isCodedError(cause) ? `: ${cause.message}` : "";
    throw new StoreError("ERR_CONTROL_FILE", `${path} cannot be read, and nothing runs without it${why}`, { cause });
  }
}
