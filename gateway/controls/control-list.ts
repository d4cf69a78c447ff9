/**
 * A durable list of targets, in one small file that is replaced at once or not at all:
 *
 *     {"v": 1, "entries": [{"target", "since", "reason", "by"}]}
 *
 * A file that cannot be read stops the start: what an operator has stopped stays stopped. An addition holds in memory
 * before it is on disk; a removal is on disk before it holds.
 */

import { StoreError } from "../../kernel/errors.ts";
import { hex64Shape } from "../../kernel/receipt/fields.ts";
import { type ReasonCode, reasonShape } from "../../kernel/receipt/reasons.ts";
import { array, literal, mapped, nullable, object, type Shape, string, timestamp } from "../../kernel/shape.ts";
import type { Timestamp } from "../../kernel/time.ts";
import { ControlFile } from "./control-file.ts";
import { type ControlTarget, readTarget } from "./control-target.ts";

/** One entry. */
export type ControlEntry = {
  readonly target: ControlTarget;
  readonly since: Timestamp;
  readonly reason: ReasonCode;
  /** Keyed hash of who did it; null if the gateway did, by a rule. */
  readonly by: string | null;
};

type ListFile = { readonly v: 1; readonly entries: readonly ControlEntry[] };

const MAX_ENTRIES = 10_000;
const MAX_FILE_BYTES = 8 * 1024 * 1024;

const fileShape: Shape<ListFile> = object<ListFile>({
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
  readonly #file: ControlFile<ListFile>;
  readonly #entries: Map<ControlTarget, ControlEntry>;

  private constructor(file: ControlFile<ListFile>, entries: readonly ControlEntry[]) {
    this.#file = file;
    this.#entries = new Map(entries.map((entry) => [entry.target, entry]));
  }

  /** @throws {StoreError} ERR_CONTROL_FILE: it is there and cannot be read */
  static async open(folder: string, name: string): Promise<ControlList> {
    const file = new ControlFile<ListFile>(folder, name);
    return new ControlList(file, (await file.read(fileShape, MAX_FILE_BYTES))?.entries ?? []);
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
    if (this.#entries.has(entry.target)) return this.#file.written;
    if (this.#entries.size >= MAX_ENTRIES) throw new StoreError("ERR_CONTROL_FULL", "the list of targets is full");
    this.#entries.set(entry.target, entry);
    await this.#write(() => this.entries());
  }

  /** Is durable before it holds. @throws {StoreError} ERR_CONTROL_FILE: nothing has changed */
  async remove(target: ControlTarget): Promise<void> {
    await this.#write(() => this.entries().filter((entry) => entry.target !== target));
    this.#entries.delete(target);
  }

  #write(entries: () => readonly ControlEntry[]): Promise<void> {
    return this.#file.write(() => ({ v: 1, entries: entries() }));
  }
}
