/**
 * Erasure: secrets of receipts, and what was kept under them, are overwritten; what they opened can never be opened again,
 * and every proof stays valid. An erasure that a crash cuts off is carried out at the next start: `erasing.json` holds it
 * until its receipts are durable.
 *
 * Order: intent durable → payloads and secrets overwritten and synced → receipts durable → intent removed.
 */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { hex64Shape, seqShape } from "../../kernel/receipt/fields.ts";
import { MAX_SEQ_RANGES, type SeqRange } from "../../kernel/receipt/operator-action.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import {
  APPROVAL_EVIDENCES,
  type ApprovalEvidence,
  ERASURE_SCOPES,
  type ErasureScope,
} from "../../kernel/receipt/vocabulary.ts";
import { array, literal, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { ControlFile } from "../controls/control-file.ts";
import type { ActionBook, Operator } from "../controls/operator.ts";
import { syncFolder } from "../receipts/frame-log.ts";
import type { Recorder } from "../receipts/recorder.ts";
import { eraseSecrets, type Vault } from "../receipts/vault.ts";
import { erasePayloads, type PayloadStore } from "./payload-store.ts";
import { type FoundReceipts, seqsOf, streamFolder } from "./stream-search.ts";

/** What an eraser works on. */
export interface EraserOptions {
  readonly dataDir: string;
  readonly recorder: Pick<Recorder, "stream" | "nextSeq">;
  readonly vault: Pick<Vault, "forget">;
  readonly payloads: Pick<PayloadStore, "written"> | undefined;
  readonly actions: ActionBook;
}

/** An erasure that somebody, or the configuration, asked for. */
export interface Erasure {
  readonly scope: ErasureScope;
  /** Undefined if it is the configuration's. */
  readonly operator: Operator | undefined;
  readonly found: readonly Pick<FoundReceipts, "stream" | "ranges">[];
}

type Intent = {
  readonly v: 1;
  readonly scope: ErasureScope;
  readonly operator?: { readonly issuer: string; readonly name: string; readonly evidence: ApprovalEvidence };
  readonly streams: readonly { readonly stream: string; readonly ranges: readonly SeqRange[] }[];
};

const NAME = "erasing.json";
const MAX_FILE_BYTES = 256 * 1024 * 1024;
const MAX_RANGES = 4_194_304;
const text: Shape<string> = string({ maxLength: 1_024 });

const intentShape: Shape<Intent> = object<Intent>({
  v: literal(1),
  scope: literal(...ERASURE_SCOPES),
  operator: optional(
    object<NonNullable<Intent["operator"]>>({ issuer: text, name: text, evidence: literal(...APPROVAL_EVIDENCES) }),
  ),
  streams: array(
    object<Intent["streams"][number]>({
      stream: hex64Shape,
      ranges: array(object<SeqRange>({ first: seqShape, last: seqShape }), { max: MAX_RANGES }),
    }),
  ),
});

/** Erases; one erasure at a time. */
export class Eraser {
  readonly #options: EraserOptions;
  readonly #file: ControlFile<Intent>;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: EraserOptions) {
    this.#options = options;
    this.#file = new ControlFile<Intent>(options.dataDir, NAME);
  }

  /** Ends what a crash cut off. @throws {StoreError} ERR_CONTROL_FILE */
  async recover(): Promise<boolean> {
    const intent = await this.#file.read(intentShape, MAX_FILE_BYTES);
    if (intent !== undefined) await this.#carryOut(intent);
    return intent !== undefined;
  }

  /** @returns numbers of the receipts. @throws {StoreError} ERR_CONTROL_FILE, ERR_STREAM_FAILED */
  erase({ scope, operator, found }: Erasure): Promise<readonly number[]> {
    const streams = found.map(({ stream, ranges }) => ({ stream, ranges }));
    const done = this.#turn.then(async () => {
      if (streams.length === 0) return [];
      const by = operator === undefined ? {} : { operator: nameOf(operator) };
      const intent: Intent = { v: 1, scope, streams, ...by };
      await this.#file.write(() => intent);
      return this.#carryOut(intent);
    });
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #carryOut({ scope, streams, operator }: Intent): Promise<readonly number[]> {
    const { dataDir, actions } = this.#options;
    for (const { stream, ranges } of streams) await this.#overwrite(stream, seqsOf(ranges));
    const receipts: number[] = [];
    for (const { stream, ranges } of streams) {
      for (let at = 0; at < ranges.length; at += MAX_SEQ_RANGES) {
        const part = ranges.slice(at, at + MAX_SEQ_RANGES);
        const seq = await actions.write({
          action: "erased",
          operator: operator === undefined ? undefined : { ...operator, roles: [] },
          target: () => ({ type: "erasure", scope, stream, receipts: part }),
          reason: reasonOf(operator),
        });
        receipts.push(seq);
      }
    }
    await rm(join(dataDir, NAME), { force: true });
    await syncFolder(dataDir);
    return receipts;
  }

  async #overwrite(stream: string, seqs: readonly number[]): Promise<void> {
    const { dataDir, recorder, vault, payloads } = this.#options;
    const folder = streamFolder(dataDir, stream);
    const isOwn = stream === recorder.stream;
    const nextSeq = recorder.nextSeq();
    const own = isOwn ? seqs.filter((seq) => seq < nextSeq) : seqs;
    if (isOwn) {
      await payloads?.written();
      vault.forget(own);
    }
    await erasePayloads(join(folder, "payloads"), new Set(own), isOwn ? nextSeq : undefined);
    await eraseSecrets(join(folder, "vault"), own);
  }
}

function reasonOf(operator: Intent["operator"]): ReasonCode {
  return operator === undefined ? "vault.retention" : "operator.request";
}

/** An operator as files hold one. */
export function nameOf({ issuer, name, evidence }: Operator): NonNullable<Intent["operator"]> {
  return { issuer, name, evidence };
}
