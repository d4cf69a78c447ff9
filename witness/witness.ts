/**
 * The witness itself, without HTTP: add-checkpoint and the monitoring path over an injected store and clock.
 *
 * Per origin, requests run one after another from reading the recorded size to the durable write: two that interleave
 * between check and store would roll the witness back. Order: check, sign, write durably, answer. A cosignature that
 * was made and could not be recorded never leaves the process.
 */

import { type AddCheckpoint, parseAddCheckpoint } from "../kernel/add-checkpoint.ts";
import type { Cosigner } from "../kernel/checkpoint/note-signer.ts";
import { type VerifiedLine, verifyLines } from "../kernel/checkpoint/open-note.ts";
import { judge } from "../kernel/checkpoint-judge.ts";
import type { ErrorCode } from "../kernel/error-codes.ts";
import { CheckError, isCodedError, StoreError } from "../kernel/errors.ts";
import { formatNote } from "../kernel/note/signed-note.ts";
import type { VerifierKey } from "../kernel/note/verifier-key.ts";
import { keepEvidence, originHash, type RecordedState, readState, type StateFiles, writeState } from "./store.ts";

/** A log that is witnessed: every key its checkpoints may be signed with, all of one name. */
export interface WitnessedLog {
  readonly origin: string;
  readonly keys: readonly VerifierKey[];
}

/** What a witness is made of. */
export interface WitnessOptions {
  readonly store: StateFiles;
  readonly logs: readonly WitnessedLog[];
  /** Every key signs every checkpoint. */
  readonly cosigners: readonly Cosigner[];
  /** POSIX seconds, above zero. */
  readonly nowSeconds: () => bigint;
  /** Called once when a write failed: the state on disk is unknown, and every later request is answered 503. */
  readonly onFatal?: (error: StoreError) => void;
}

/** An answer in terms of HTTP. `code` names the outcome for metrics and logs; a refusal's body begins with it. */
export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422 | 429 | 500 | 503;
  readonly contentType: string;
  readonly body: string;
  readonly code: ErrorCode | "conflict" | "cosigned";
}

/** The operations of the protocol. */
export interface Witness {
  readonly addCheckpoint: (body: Uint8Array) => Promise<WitnessAnswer>;
  /** The last cosigned checkpoint of the log with this hex SHA-256 of its origin, if there is one. */
  readonly checkpoint: (originHashHex: string) => string | undefined;
  /** False once a write has failed. */
  readonly isHealthy: () => boolean;
}

const TEXT = "text/plain; charset=utf-8";
const SIZE = "text/x.tlog.size";
const MAX_WAITING = 64;

/** One log and the end of its queue. */
interface Lane {
  readonly log: WitnessedLog;
  state: RecordedState;
  tail: Promise<unknown>;
  waiting: number;
}

/**
 * Reads the recorded states and returns a witness over them.
 *
 * @throws {StoreError} ERR_WITNESS_STATE if a state file is damaged
 */
export async function createWitness(options: WitnessOptions): Promise<Witness> {
  const lanes = new Map<string, Lane>();
  for (const log of options.logs) {
    const state = await readState(options.store, log.origin);
    lanes.set(log.origin, { log, state, tail: Promise.resolve(), waiting: 0 });
  }
  return makeWitness(options, lanes);
}

function makeWitness(options: WitnessOptions, lanes: ReadonlyMap<string, Lane>): Witness {
  const byHash = new Map([...lanes.values()].map((lane) => [originHash(lane.log.origin), lane]));
  let healthy = true;
  const fail = (error: StoreError): void => {
    healthy = false;
    options.onFatal?.(error);
  };
  return {
    isHealthy: () => healthy,
    checkpoint: (hash) => byHash.get(hash)?.state.note,
    addCheckpoint: async (body) => {
      const opened = openRequest(body, lanes);
      if ("status" in opened) return opened;
      const { lane, request, lines } = opened;
      if (lane.waiting >= MAX_WAITING)
        return refusal(429, "ERR_QUEUE_FULL", "too many requests for this log are waiting");
      return inTurn(lane, async () => {
        if (!healthy) return refusal(503, "ERR_WITNESS_STATE", "the state could not be written; restart the witness");
        try {
          return await serve(options, lane, request, lines);
        } catch (error) {
          if (!(error instanceof StoreError)) throw error;
          if (error.fatal) fail(error);
          return refusal(500, error.code, "the checkpoint could not be recorded; nothing was signed");
        }
      });
    },
  };
}

/** A request with its log and the lines that the log's keys signed. */
interface OpenedRequest {
  readonly lane: Lane;
  readonly request: AddCheckpoint;
  readonly lines: readonly VerifiedLine[];
}

/** The checks that need no state: form, origin, log signature. */
function openRequest(body: Uint8Array, lanes: ReadonlyMap<string, Lane>): OpenedRequest | WitnessAnswer {
  try {
    const request = parseAddCheckpoint(body);
    const lane = lanes.get(request.checkpoint.origin);
    if (lane === undefined) return refusal(404, "ERR_ORIGIN", "no log of this origin is witnessed here");
    const lines = signedLines(request, lane.log);
    if (lines.length === 0) {
      return refusal(403, "ERR_LOG_SIGNATURE", "no signature of a trusted key, or one that does not verify");
    }
    return { lane, request, lines };
  } catch (error) {
    if (!isCodedError(error) || error instanceof StoreError) throw error;
    return refusal(400, error.code, error.message);
  }
}

/** The verified lines of the log's keys; none if there is no such line or if one of them is false. */
function signedLines({ note }: AddCheckpoint, log: WitnessedLog): readonly VerifiedLine[] {
  try {
    return verifyLines(note, log.keys);
  } catch (error) {
    if (isCodedError(error)) return [];
    throw error;
  }
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

async function serve(
  options: WitnessOptions,
  lane: Lane,
  request: AddCheckpoint,
  logLines: readonly VerifiedLine[],
): Promise<WitnessAnswer> {
  const ruling = judge(lane.state.head, request);
  switch (ruling.verdict) {
    case "bad-request":
      return refusal(400, ruling.code, ruling.why);
    case "conflict":
      return { status: 409, contentType: SIZE, body: `${ruling.recordedSize}\n`, code: "conflict" };
    case "unprocessable":
      await keepEvidence(options.store, lane.log.origin, lane.state, asNote(request, logLines, []));
      return refusal(422, ruling.code, ruling.why);
    case "record": {
      const cosignatures = cosign(options, request.note.text);
      const note = asNote(request, logLines, cosignatures);
      await writeState(options.store, lane.log.origin, note);
      lane.state = { head: ruling.next, note };
      return { status: 200, contentType: TEXT, body: cosignatures.join(""), code: "cosigned" };
    }
  }
}

function cosign({ cosigners, nowSeconds }: WitnessOptions, text: string): readonly string[] {
  const time = nowSeconds();
  // SPEC tlog-witness: the timestamp of a cosignature MUST NOT be zero.
  if (time <= 0n) throw new CheckError("ERR_COSIGNATURE", "the clock is before 1970");
  return cosigners.map((cosigner) => cosigner.cosign(text, time));
}

function asNote(request: AddCheckpoint, lines: readonly VerifiedLine[], cosignatures: readonly string[]): string {
  return formatNote(request.note.text, [...lines.map(({ line }) => line), ...cosignatures]);
}

function refusal(status: Exclude<WitnessAnswer["status"], 200 | 409>, code: ErrorCode, why: string): WitnessAnswer {
  return { status, contentType: TEXT, body: `${code}: ${why}\n`, code };
}
