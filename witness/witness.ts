/**
 * The witness itself, without HTTP: add-checkpoint, sign-subtree and the monitoring path over injected state and clock.
 *
 * Per origin, requests run one after another from reading the recorded size to the durable write: two that interleave
 * between check and store would roll the witness back. Order: check, sign, write durably, answer. A cosignature that
 * was made and could not be recorded never leaves the process.
 *
 * A checkpoint that carries a true line of this witness above the recorded size shows that the state is older than what
 * was signed: an old copy of the data folder. From then on every log is refused until an operator decides.
 */

import { type AddCheckpoint, parseAddCheckpoint } from "../kernel/add-checkpoint.ts";
import { equalBytes } from "../kernel/bytes.ts";
import type { Checkpoint } from "../kernel/checkpoint/checkpoint.ts";
import { type VerifiedLine, verifyLines } from "../kernel/checkpoint/open-note.ts";
import { judge, type TreeHead } from "../kernel/checkpoint-judge.ts";
import { CheckError, isCodedError, StoreError } from "../kernel/errors.ts";
import type { SignedNote } from "../kernel/note/signed-note.ts";
import type { VerifierKey } from "../kernel/note/verifier-key.ts";
import { conflict, cosigned, refusal, tooMany, type WitnessAnswer } from "./answer.ts";
import type { EvidenceShelf, Kept } from "./evidence.ts";
import { cosignSubtree, ownCosigners, parseSignSubtree } from "./sign-subtree.ts";
import type { AnyCosigner } from "./signing.ts";
import { originHash, type StateBook } from "./state-book.ts";

/** A log that is witnessed: every key its checkpoints may be signed with, all of one name. */
export interface WitnessedLog {
  readonly origin: string;
  readonly keys: readonly VerifierKey[];
  /** Signed requests a minute; default: that of the configuration. */
  readonly requests_per_minute?: number;
}

/** What a witness is made of. */
export interface WitnessOptions {
  readonly book: StateBook;
  readonly evidence: EvidenceShelf;
  readonly logs: readonly WitnessedLog[];
  /** Every key signs every checkpoint. */
  readonly cosigners: readonly AnyCosigner[];
  /** POSIX seconds, above zero. */
  readonly nowSeconds: () => bigint;
  /** Milliseconds until this log may be asked again; 0 if now. Asked once a request whose signature holds. */
  readonly waitMs?: (log: WitnessedLog) => number;
  /** Called once when a write failed: the state on disk is unknown, and every later request is answered 503. */
  readonly onFatal?: (error: StoreError) => void;
  /** Told when the state turns out to be older than what was cosigned. */
  readonly onRollback?: (why: string) => void;
  /** Told of evidence, and of evidence that could not be kept. */
  readonly onEvidence?: (origin: string, kept: Kept | "lost") => void;
}

/** What is known of one log. */
export interface LogStatus {
  readonly origin: string;
  readonly size: bigint;
  /** POSIX seconds of the last cosignature; undefined before the first of this run. */
  readonly cosignedAtSeconds?: bigint;
}

/** The operations of the protocol. */
export interface Witness {
  readonly addCheckpoint: (body: Uint8Array) => Promise<WitnessAnswer>;
  readonly signSubtree: (body: Uint8Array) => Promise<WitnessAnswer>;
  /** The last cosigned checkpoint of the log with this hex SHA-256 of its origin, if there is one. */
  readonly checkpoint: (originHashHex: string) => string | undefined;
  /** Takes another list of logs; what is recorded of those that are left out is kept. */
  readonly setLogs: (logs: readonly WitnessedLog[]) => void;
  readonly status: () => readonly LogStatus[];
  /** False once a write has failed. */
  readonly isHealthy: () => boolean;
}

const MAX_WAITING = 64;

/** One log and the end of its queue. A lane stays when its log leaves the list: a request may still be in it. */
interface Lane {
  log: WitnessedLog;
  tail: Promise<unknown>;
  waiting: number;
  cosignedAtSeconds?: bigint;
}

/** Returns a witness over an open state. */
export function createWitness(options: WitnessOptions): Witness {
  return new LaneWitness(options);
}

/** A request with its lane and the lines that the log's keys signed. */
interface OpenedRequest {
  readonly lane: Lane;
  readonly request: AddCheckpoint;
  readonly lines: readonly VerifiedLine[];
}

class LaneWitness implements Witness {
  readonly #options: WitnessOptions;
  readonly #lanes = new Map<string, Lane>();
  #listed = new Map<string, Lane>();
  #byHash = new Map<string, string>();
  #healthy = true;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.setLogs(options.logs);
  }

  readonly isHealthy = (): boolean => this.#healthy;

  readonly checkpoint = (hash: string): string | undefined => {
    const origin = this.#byHash.get(hash);
    return origin === undefined ? undefined : this.#options.book.state(origin).note;
  };

  readonly setLogs = (logs: readonly WitnessedLog[]): void => {
    for (const log of logs) {
      const lane = this.#lanes.get(log.origin);
      if (lane === undefined) this.#lanes.set(log.origin, { log, tail: Promise.resolve(), waiting: 0 });
      else lane.log = log;
    }
    const origins = new Set(logs.map(({ origin }) => origin));
    this.#listed = new Map([...this.#lanes].filter(([origin]) => origins.has(origin)));
    this.#byHash = new Map([...origins].map((origin) => [originHash(origin), origin]));
  };

  readonly status = (): readonly LogStatus[] =>
    [...this.#listed.values()].map(({ log: { origin }, cosignedAtSeconds }) => ({
      origin,
      size: this.#options.book.state(origin).head.size,
      ...(cosignedAtSeconds === undefined ? {} : { cosignedAtSeconds }),
    }));

  readonly addCheckpoint = async (body: Uint8Array): Promise<WitnessAnswer> => {
    const opened = this.#open(body);
    if ("status" in opened) return opened;
    const { lane, request } = opened;
    const { origin } = lane.log;
    const waitMs = this.#options.waitMs?.(lane.log) ?? 0;
    if (waitMs > 0) return tooMany("too many requests for this log", waitMs, origin);
    if (lane.waiting >= MAX_WAITING) return tooMany("too many requests for this log are waiting", 1000, origin);
    return inTurn(lane, () =>
      this.#guard(origin, async () => {
        const refused = await this.#refuseIfOlder(request.note, request.checkpoint);
        return refused ?? this.#serve(opened);
      }),
    );
  };

  readonly signSubtree = async (body: Uint8Array): Promise<WitnessAnswer> => {
    try {
      const request = parseSignSubtree(body);
      const lane = this.#listed.get(request.checkpoint.origin);
      if (lane === undefined) return unknownOrigin();
      return await this.#guard(lane.log.origin, () => this.#signSubtree(lane, request));
    } catch (error) {
      return formatRefusal(error);
    }
  };

  async #signSubtree(lane: Lane, request: ReturnType<typeof parseSignSubtree>): Promise<WitnessAnswer> {
    const { origin } = lane.log;
    const able = this.#options.cosigners.filter((cosigner) => cosigner.cosignSubtree !== undefined);
    const own = ownCosigners(request.note, able);
    if (own.length === 0) {
      return refusal(403, "ERR_WITNESS_COSIGNATURE", "no cosignature of this witness that can sign subtrees", origin);
    }
    const waitMs = this.#options.waitMs?.(lane.log) ?? 0;
    if (waitMs > 0) return tooMany("too many requests for this log", waitMs, origin);
    const refused = await this.#refuseIfOlder(request.note, request.checkpoint);
    if (refused !== undefined) return refused;
    try {
      return cosigned(await cosignSubtree(request, own), origin);
    } catch (error) {
      if (error instanceof CheckError)
        return refusal(422, error.code, "the subtree is not one of the checkpoint", origin);
      throw error;
    }
  }

  /** The checks that need no state: form, origin, log signature. */
  #open(body: Uint8Array): OpenedRequest | WitnessAnswer {
    try {
      const request = parseAddCheckpoint(body);
      const lane = this.#listed.get(request.checkpoint.origin);
      if (lane === undefined) return unknownOrigin();
      const lines = signedLines(request.note, lane.log.keys);
      if (lines.length > 0) return { lane, request, lines };
      const why = "no signature of a trusted key, or one that does not verify";
      return refusal(403, "ERR_LOG_SIGNATURE", why, lane.log.origin);
    } catch (error) {
      return formatRefusal(error);
    }
  }

  /** Turns a failed write into 500 and the end of all signing. */
  async #guard(origin: string, task: () => Promise<WitnessAnswer>): Promise<WitnessAnswer> {
    if (!this.#healthy) {
      return refusal(503, "ERR_WITNESS_STATE", "the state could not be written; restart the witness", origin);
    }
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.fatal && this.#healthy) {
        this.#healthy = false;
        this.#options.onFatal?.(error);
      }
      return refusal(500, error.code, "the checkpoint could not be recorded; nothing was signed", origin);
    }
  }

  /**
   * Refuses while the log is suspended, and suspends all logs when the note shows that this witness has cosigned more than
   * it knows: the data folder is an older copy, so what is recorded of every other log may be as old.
   */
  async #refuseIfOlder(note: SignedNote, { origin, size, root }: Checkpoint): Promise<WitnessAnswer | undefined> {
    const { book, cosigners, onRollback } = this.#options;
    const { head } = book.state(origin);
    if (
      book.suspension(origin) === undefined &&
      isNewer({ size, root }, head) &&
      ownCosigners(note, cosigners).length > 0
    ) {
      const why = `a checkpoint of ${origin} at size ${size} has a line of this witness, which recorded size ${head.size}`;
      onRollback?.(why);
      await book.suspend(why);
    }
    return book.suspension(origin) === undefined ? undefined : suspended(origin);
  }

  async #serve(opened: OpenedRequest): Promise<WitnessAnswer> {
    const { lane, request, lines } = opened;
    const { origin } = lane.log;
    const ruling = judge(this.#options.book.state(origin).head, request);
    switch (ruling.verdict) {
      case "bad-request":
        return refusal(400, ruling.code, ruling.why, origin);
      case "conflict":
        return conflict(ruling.recordedSize, origin);
      case "unprocessable":
        await this.#keepEvidence(opened);
        return refusal(422, ruling.code, ruling.why, origin);
      case "record":
        return this.#record(lane, ruling.next, request.note, lines);
    }
  }

  async #record(lane: Lane, next: TreeHead, note: SignedNote, lines: readonly VerifiedLine[]): Promise<WitnessAnswer> {
    const { book, cosigners } = this.#options;
    const { origin } = lane.log;
    const time = this.#time();
    const cosignatures = await Promise.all(cosigners.map(async (cosigner) => cosigner.cosign(note.text, time)));
    // While a thread was signing, another log may have shown that the state is an old one.
    if (book.suspension(origin) !== undefined) return suspended(origin);
    await book.record(origin, next, asNote(note, lines, cosignatures));
    lane.cosignedAtSeconds = time;
    return cosigned(cosignatures, origin);
  }

  #time(): bigint {
    const time = this.#options.nowSeconds();
    // SPEC tlog-witness: the timestamp of a cosignature MUST NOT be zero.
    if (time <= 0n) throw new CheckError("ERR_COSIGNATURE", "the clock is before 1970");
    return time;
  }

  /** Evidence that cannot be written changes no answer: the refusal stands. */
  async #keepEvidence({ lane, request, lines }: OpenedRequest): Promise<void> {
    const { book, evidence, onEvidence } = this.#options;
    const { origin, keys } = lane.log;
    const recorded = book.state(origin).note;
    const refused = asNote(request.note, lines, []);
    try {
      const kept = await evidence.keep({ origin, keys, recorded, refused, proof: request.proof });
      onEvidence?.(origin, kept);
    } catch {
      onEvidence?.(origin, "lost");
    }
  }
}

/** The verified lines of the log's keys; none if there is no such line or if one of them is false. */
function signedLines(note: SignedNote, keys: readonly VerifierKey[]): readonly VerifiedLine[] {
  try {
    return verifyLines(note, keys);
  } catch (error) {
    if (isCodedError(error)) return [];
    throw error;
  }
}

function isNewer(seen: TreeHead, recorded: TreeHead): boolean {
  return seen.size > recorded.size || (seen.size === recorded.size && !equalBytes(seen.root, recorded.root));
}

/** Runs `task` behind the earlier ones of the lane. */
function inTurn<T>(lane: Lane, task: () => Promise<T>): Promise<T> {
  lane.waiting += 1;
  const turn = lane.tail.then(task).finally(() => {
    lane.waiting -= 1;
  });
  lane.tail = turn.catch(() => undefined);
  return turn;
}

function suspended(origin: string): WitnessAnswer {
  return refusal(503, "ERR_WITNESS_ROLLBACK", "an operator must decide", origin);
}

function unknownOrigin(): WitnessAnswer {
  return refusal(404, "ERR_ORIGIN", "no log of this origin is witnessed here");
}

/** What cannot be read is 400. @throws anything that is not about the request */
function formatRefusal(error: unknown): WitnessAnswer {
  if (!isCodedError(error) || error instanceof StoreError) throw error;
  return refusal(400, error.code, error.message);
}

function asNote(note: SignedNote, lines: readonly VerifiedLine[], cosignatures: readonly string[]): string {
  // The text and these lines were parsed, and the cosigners made theirs: putting them together needs no second look.
  return `${note.text}\n${[...lines.map(({ line }) => line), ...cosignatures].join("")}`;
}
