/** What the background checks found, durable in the index; the signed segment that brought a receipt stands beside it. */

import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import type { EntryIndex } from "../sequence/entry-index.ts";
import type { IndexStore } from "../sequence/index-store.ts";
import { type CheckFinding, findingKey, parseFindingRow, segmentKey } from "./check-rows.ts";

const END_OF_FINDINGS = "f0";

/** A finding, and who submitted the receipt. */
export interface PublishedFinding extends CheckFinding {
  /** Envelope of the segment, signed by the stream's receipt key; null if the index was made anew since. */
  readonly segment: JsonObject | null;
}

/** The findings of a log. */
export class FindingsBook {
  readonly #store: IndexStore;
  readonly #index: EntryIndex;
  readonly #indexes = new Set<number>();
  readonly #streams = new Set<string>();

  constructor(store: IndexStore, index: EntryIndex) {
    this.#store = store;
    this.#index = index;
  }

  /** Number of entries with a finding. */
  get count(): number {
    return this.#indexes.size;
  }

  /** Counts what earlier runs found. */
  async load(): Promise<void> {
    for await (const { value } of this.#store.rows(findingKey(0n), END_OF_FINDINGS)) {
      this.add(parseFindingRow(value));
    }
  }

  /** True if there is a finding about a receipt of the stream. */
  has(stream: string): boolean {
    return this.#streams.has(stream);
  }

  /** Counts a finding; true for the first one of its stream. */
  add({ index, stream }: CheckFinding): boolean {
    this.#indexes.add(index);
    const isFirst = !this.#streams.has(stream);
    this.#streams.add(stream);
    return isFirst;
  }

  /** Durable findings about entries from `from` on, in the order of the log, at most `limit`. */
  async list(from: bigint, limit: number): Promise<readonly PublishedFinding[]> {
    await this.#index.flush();
    const found: CheckFinding[] = [];
    for await (const { value } of this.#store.rows(findingKey(from), END_OF_FINDINGS)) {
      found.push(parseFindingRow(value));
      if (found.length === limit) break;
    }
    return Promise.all(found.map(async (finding) => ({ ...finding, segment: await this.#segmentOf(finding) })));
  }

  async #segmentOf({ index, stream, seq }: CheckFinding): Promise<JsonObject | null> {
    const row = await this.#store.lastRow(segmentKey(0n), segmentKey(BigInt(index)));
    const envelope = row === undefined ? undefined : parseJson(row.value);
    return isJsonObject(envelope) && covers(envelope, stream, seq) ? envelope : null;
  }
}

function covers({ stream, first_seq: first, count }: JsonObject, ofStream: string, seq: number): boolean {
  const isNumbered = typeof first === "number" && typeof count === "number";
  return stream === ofStream && isNumbered && seq >= first && seq < first + count;
}
