/**
 * What the operator of a log says about it: rotates its keys, ends a stream's registration, names the predecessor, closes
 * the log. A statement names its own index, so it is made and signed in the sequencer's turn; nobody can have it before it
 * is durable.
 */

import { CheckError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { nextLogState, signersNow, signersOf } from "../../kernel/lifecycle/log-state.ts";
import { MAX_STATEMENTS } from "../../kernel/lifecycle/log-status.ts";
import {
  type FinalTree,
  type LogEnd,
  parseStatement,
  type StatementBody,
  type Successor,
  signStatement,
  statementJson,
  textsOfKeys,
} from "../../kernel/lifecycle/statement.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import type { Clock } from "../../kernel/service/service.ts";
import { parseKid } from "../../kernel/signature/public-key.ts";
import type { EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { Sequencer } from "../sequence/proposal.ts";
import type { KeyRing } from "./key-ring.ts";
import type { StatementBook } from "./statement-book.ts";

/** Statements that are kept free for what a log cannot do without. */
const RESERVED_STATEMENTS = 24;

/** What the operator wants. */
export type OperatorAction =
  | { readonly action: "rotate-key" }
  | { readonly action: "retire-key" }
  | { readonly action: "close"; readonly end: LogEnd; readonly reason: string; readonly successor?: Successor }
  | { readonly action: "link"; readonly predecessor: FinalTree }
  | { readonly action: "end-stream"; readonly stream: string; readonly reason: string };

/** What was done. */
export interface OperatorResult {
  readonly index: bigint;
  readonly statement: JsonObject;
}

/** What the desk works with. */
export interface LogDeskParts {
  readonly origin: string;
  /** Without a gate: a log outside its time can still be closed. */
  readonly sequencer: Sequencer;
  readonly book: StatementBook;
  readonly ring: KeyRing;
  readonly operator: EnvelopeSigner;
  readonly clock: Clock;
  /** Number of entries. */
  readonly size: () => bigint;
  /** Size of the newest witnessed checkpoint. */
  readonly publishedSize: () => bigint;
  /** Index of a stream's registration; undefined if it is not registered. */
  readonly isRegistered: (stream: string) => boolean;
}

/** Makes statements of one log. */
export class LogDesk {
  readonly #parts: LogDeskParts;

  constructor(parts: LogDeskParts) {
    this.#parts = parts;
  }

  /**
   * Appends the statement; resolves once it is durable.
   *
   * @throws {CheckError} ERR_LOG_CLOSED, ERR_ROTATION_ORDER, ERR_STATEMENT_PLACE; ERR_STREAM_UNKNOWN; ERR_LOG_UNWITNESSED (the
   *   retirement of keys before a quorum has seen a checkpoint of both pairs)
   * @throws {FormatError} ERR_CONFIG (no spare keys), ERR_SHAPE
   * @throws {StoreError} ERR_QUEUE_FULL, ERR_LEDGER_STOPPED
   */
  perform(action: OperatorAction): Promise<OperatorResult> {
    const { sequencer, book, ring } = this.#parts;
    return sequencer.submit<OperatorResult>({
      entries: [],
      decide: (_known, next) => {
        const bytes = this.#make(this.#bodyOf(action, Number(next)));
        const rows = book.replay(bytes, next);
        // One line too many harms nobody; one too few would be a checkpoint that a witness refuses.
        if (action.action === "rotate-key") ring.use(signersNow(book.state));
        return {
          entries: [{ bytes, leaf: hashLeaf(bytes) }],
          rows,
          settle: () => {
            ring.use(signersNow(book.state));
            return { index: next, statement: statementJson(parseStatement(bytes)) };
          },
        };
      },
    });
  }

  /** The statement that `perform` would append if nothing came before it, unsigned. @throws as `perform` */
  preview(action: OperatorAction): StatementBody {
    const body = this.#bodyOf(action, Number(this.#parts.size()));
    this.#make(body);
    return body;
  }

  /** Signs and checks a statement before anything is changed. */
  #make(body: StatementBody): Uint8Array {
    const { book, ring, operator } = this.#parts;
    const bytes = signStatement(body, ring.secretsOf(signersOf(book.state, body)), operator);
    nextLogState(book.state, parseStatement(bytes), body.index);
    return bytes;
  }

  #bodyOf(action: OperatorAction, index: number): StatementBody {
    const { origin, clock } = this.#parts;
    const header = { v: 1, origin, index, time: formatTimestamp(clock.nowMs()) } as const;
    switch (action.action) {
      case "rotate-key":
        return { ...header, kind: "log-key-rotation", ...this.#newKeys() };
      case "retire-key":
        return { ...header, kind: "log-key-retirement", rotation_index: this.#retirable() };
      case "link":
        return { ...header, kind: "log-predecessor", predecessor: action.predecessor };
      case "end-stream":
        return { ...header, kind: "registration-end", stream: this.#registered(action.stream), reason: action.reason };
      case "close": {
        const { end, reason, successor } = action;
        const named = successor === undefined ? {} : { successor };
        return { ...header, kind: "log-closing", end, reason, final_size: index + 1, ...named };
      }
    }
  }

  #newKeys(): { readonly old_keys: readonly string[]; readonly new_keys: readonly string[] } {
    const { book, ring } = this.#parts;
    const spare = ring.spare(book.keys).map(({ verifierKey }) => verifierKey);
    return { old_keys: textsOfKeys(book.state.keys), new_keys: textsOfKeys(spare) };
  }

  /** Whoever pinned the older keys must have had a checkpoint of both that witnesses saw. */
  #retirable(): number {
    const { book, publishedSize } = this.#parts;
    const index = book.state.rotations.at(-1)?.index ?? 0;
    if (book.state.retiring === undefined || publishedSize() > BigInt(index)) return Math.max(index, 1);
    throw new CheckError("ERR_LOG_UNWITNESSED", "no witnessed checkpoint covers the rotation yet; try again later");
  }

  /** The last places are kept for keys and for the end of the log. */
  #registered(stream: string): ReturnType<typeof parseKid> {
    if (this.#parts.book.statements.length >= MAX_STATEMENTS - RESERVED_STATEMENTS) {
      throw new CheckError(
        "ERR_ROTATION_ORDER",
        `want at most ${MAX_STATEMENTS} statements of a log, some of them kept free`,
      );
    }
    if (this.#parts.isRegistered(stream)) return parseKid(stream);
    throw new CheckError("ERR_STREAM_UNKNOWN", "the stream is not registered with this log");
  }
}
