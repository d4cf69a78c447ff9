/**
 * Calls that had not ended when they were erased: what their outcomes commit to is erased once it is there. The file
 * `erasing-open.json` holds them, so that a restart forgets none.
 */

import { hex64Shape, seqShape } from "../../kernel/receipt/fields.ts";
import {
  APPROVAL_EVIDENCES,
  type ApprovalEvidence,
  ERASURE_SCOPES,
  type ErasureScope,
} from "../../kernel/receipt/vocabulary.ts";
import { array, literal, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { ControlFile } from "../controls/control-file.ts";
import { walkStream } from "../receipts/stream-log.ts";
import { type FoundReceipts, outcomeOf, rangesOf, streamFolder } from "./stream-search.ts";

/** Decisions of one stream whose outcomes are to be erased, and who asked for it. */
export type OwedErasure = {
  readonly scope: ErasureScope;
  readonly stream: string;
  /** Ascending. */
  readonly decisions: readonly number[];
  readonly operator?: { readonly issuer: string; readonly name: string; readonly evidence: ApprovalEvidence };
};

/** What has become due of one. */
export interface DueErasure {
  readonly owed: OwedErasure;
  readonly found: Pick<FoundReceipts, "stream" | "ranges">;
  /** The decisions whose outcomes these are. */
  readonly decisions: ReadonlySet<number>;
  /** The first receipt that was not looked at. */
  readonly next: number;
}

interface OwedFile {
  readonly v: 1;
  readonly owed: readonly OwedErasure[];
}

const NAME = "erasing-open.json";
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const text: Shape<string> = string({ maxLength: 1_024 });

const fileShape: Shape<OwedFile> = object<OwedFile>({
  v: literal(1),
  owed: array(
    object<OwedErasure>({
      scope: literal(...ERASURE_SCOPES),
      stream: hex64Shape,
      decisions: array(seqShape, { min: 1, max: 1_048_576 }),
      operator: optional(
        object<NonNullable<OwedErasure["operator"]>>({
          issuer: text,
          name: text,
          evidence: literal(...APPROVAL_EVIDENCES),
        }),
      ),
    }),
  ),
});

/** The calls of one data folder. */
export class OwedErasures {
  readonly #dataDir: string;
  readonly #file: ControlFile<OwedFile>;
  #owed: readonly OwedErasure[] = [];
  /** Where the search for each goes on: a call may take hours, and a stream grows meanwhile. */
  readonly #next = new WeakMap<OwedErasure, number>();

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.#file = new ControlFile<OwedFile>(dataDir, NAME);
  }

  get isEmpty(): boolean {
    return this.#owed.length === 0;
  }

  /** @throws {StoreError} ERR_CONTROL_FILE */
  async read(): Promise<void> {
    this.#owed = (await this.#file.read(fileShape, MAX_FILE_BYTES))?.owed ?? [];
  }

  /** Durable when it resolves. @throws {StoreError} ERR_CONTROL_FILE */
  async add(more: readonly OwedErasure[]): Promise<void> {
    if (more.length > 0) await this.#set([...this.#owed, ...more]);
  }

  /** Outcomes that are there by now. @throws {StoreError} ERR_STREAM_FILE */
  async due(): Promise<readonly DueErasure[]> {
    const due: DueErasure[] = [];
    for (const owed of this.#owed) {
      const wanted = new Set(owed.decisions);
      const decisions = new Set<number>();
      const seqs: number[] = [];
      let next = this.#next.get(owed) ?? owed.decisions[0] ?? 0;
      for await (const { seq, bytes } of walkStream(streamFolder(this.#dataDir, owed.stream), next)) {
        next = seq + 1;
        const decision = outcomeOf(bytes);
        if (decision === undefined || !wanted.has(decision)) continue;
        seqs.push(seq);
        decisions.add(decision);
      }
      // What was found is found again if it could not be erased.
      if (seqs.length > 0) due.push({ owed, found: { stream: owed.stream, ranges: rangesOf(seqs) }, decisions, next });
      else this.#next.set(owed, next);
    }
    return due;
  }

  /** Once it was carried out. @throws {StoreError} ERR_CONTROL_FILE */
  async settle({ owed, decisions, next }: DueErasure): Promise<void> {
    const rest = this.#owed.filter((each) => each !== owed);
    const left = { ...owed, decisions: owed.decisions.filter((each) => !decisions.has(each)) };
    this.#next.set(left, next);
    await this.#set(left.decisions.length === 0 ? rest : [...rest, left]);
  }

  async #set(owed: readonly OwedErasure[]): Promise<void> {
    this.#owed = owed;
    await this.#file.write(() => ({ v: 1, owed: this.#owed }));
  }
}
