/** Submits streams to a ledger as a gateway does: registration, single receipts, segments; asks for the tip. */

import { formatHex } from "../../kernel/hex.ts";
import { signRegistration } from "../../kernel/registration.ts";
import { formatSegment, makeSegment } from "../../kernel/segment.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { LEDGER_ORIGIN, READ, SUBMIT } from "./ledger-service.ts";
import { type GatewayKeys, type MadeStream, STREAM_START_MS } from "./receipts.ts";

/** An answer with its body as JSON. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Registration of a gateway's keys with the log of the tests. */
export function registrationOf(
  { instance, receipt }: GatewayKeys,
  changes: { readonly origin?: string; readonly label?: string } = {},
): Uint8Array {
  const body = { kind: "registration", v: 1, origin: LEDGER_ORIGIN, evidence: { type: "software" } } as const;
  return signRegistration({ ...body, time: formatTimestamp(STREAM_START_MS), ...changes }, instance, receipt);
}

/** Receipts of a stream, right or false, as far as segments need them. */
export interface SegmentSource {
  readonly keys: GatewayKeys;
  readonly stream: string;
  readonly receipts: readonly { readonly bytes: Uint8Array; readonly hash: Uint8Array }[];
}

/** The segment of the stream's receipts from `first` up to and without `end`. */
export function segmentOf(
  { keys, stream, receipts }: SegmentSource,
  first: number,
  end: number,
  origin: string = LEDGER_ORIGIN,
): Uint8Array {
  const bytes = receipts.slice(first, end).map((receipt) => receipt.bytes);
  const before = receipts[first - 1];
  const prev = before === undefined ? {} : { prev: before.hash };
  return formatSegment(makeSegment({ origin, stream, firstSeq: first, receipts: bytes, ...prev }, keys.receipt), bytes);
}

/** The tip that a ledger shows after the first `count` receipts of a stream. */
export function tipOf({ receipts }: Pick<SegmentSource, "receipts">, count: number): object {
  const last = receipts[count - 1];
  return last === undefined ? { next_seq: 0 } : { next_seq: count, last: formatHex(last.hash) };
}

/** The start of an error answer, for `toMatchObject`; `details` are members beside the code. */
export function refusal(status: number, code: string, details: object = {}): object {
  return { status, body: { error: { code, ...details } } };
}

/** A client of the ledger at `url`. */
export class Submitter {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  register(bytes: Uint8Array, headers: Record<string, string> = SUBMIT): Promise<Answer> {
    return this.#post("/register", bytes, { "content-type": "application/json", ...headers });
  }

  receipt(bytes: Uint8Array): Promise<Answer> {
    return this.#post("/receipts", bytes, { "content-type": "application/json", ...SUBMIT });
  }

  segment(bytes: Uint8Array): Promise<Answer> {
    return this.#post("/segments", bytes, { "content-type": "application/x-ndjson", ...SUBMIT });
  }

  async tip(stream: string): Promise<Answer> {
    return answerOf(await fetch(`${this.#url}/streams/${stream}`, { headers: READ }));
  }

  /** Registers the stream's keys; gives the stream back. */
  async open(stream: MadeStream): Promise<MadeStream> {
    const { status } = await this.register(registrationOf(stream.keys));
    if (status !== 201 && status !== 200) throw new Error(`the ledger answered the registration with ${status}`);
    return stream;
  }

  async #post(path: string, body: Uint8Array, headers: Record<string, string>): Promise<Answer> {
    return answerOf(await fetch(`${this.#url}${path}`, { method: "POST", body, headers }));
  }
}

async function answerOf(response: Response): Promise<Answer> {
  const body: unknown = await response.json();
  return { status: response.status, body };
}
