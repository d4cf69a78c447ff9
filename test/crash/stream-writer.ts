/**
 * Plays gateways: registers a stream, sends its receipts alone and in segments, now and then a fork of it; when the stream
 * is closed, the next one. Knows which index each receipt was acknowledged with.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { type Answer, registrationOf, Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { type GatewayKeys, type MadeStream, makeStream, receiptContents } from "../support/receipts.ts";
import { Client, expectThat } from "./client.ts";

const CALLS = 300;
const MAX_SEGMENT = 48;

interface OpenStream {
  readonly made: MadeStream;
  readonly rival: Uint8Array;
  readonly places: Map<number, number>;
  registered: boolean;
  acknowledged: number;
}

/** The streams of one writer. */
export class StreamWriter extends Client {
  readonly #client: Submitter;
  readonly #name: string;
  readonly #streams: OpenStream[] = [];

  constructor(url: string, name: string) {
    super();
    this.#client = new Submitter(url);
    this.#name = name;
  }

  get acknowledged(): number {
    return this.#streams.reduce((total, { places }) => total + places.size, 0);
  }

  /** Fails unless each stream is in the log in its order, once, and where it was acknowledged. */
  check(entries: readonly Uint8Array[]): void {
    const texts = entries.map((entry) => Buffer.from(entry).toString());
    for (const { made, places, acknowledged } of this.#streams) {
      const own = made.receipts.map(({ bytes }) => Buffer.from(bytes).toString());
      const all = new Set(own);
      const found = texts.filter((text) => all.has(text));
      expectThat(found.length >= acknowledged, `${found.length} receipts of a stream, ${acknowledged} acknowledged`);
      expectThat(
        found.every((text, i) => text === own[i]),
        "a stream is not in the log in its order",
      );
      for (const [seq, index] of places) expectThat(texts[index] === own[seq], `receipt ${seq} is not at ${index}`);
    }
  }

  protected override async step(): Promise<void> {
    const stream = this.#current();
    const { made, acknowledged } = stream;
    if (!stream.registered) {
      const answer = await this.ask(() => this.#client.register(registrationOf(made.keys)));
      expectThat(answer === undefined || answer.status < 202, `registration: ${JSON.stringify(answer)}`);
      stream.registered = answer !== undefined;
      return;
    }
    await this.#send(stream, acknowledged, 1 + ((acknowledged * 5) % MAX_SEGMENT));
    if (acknowledged > 2 && acknowledged % 7 === 0) await this.#fork(stream);
  }

  /** What was acknowledged last, once more; and the tip: not behind it, and ahead by at most what was in flight. */
  protected override async resume(): Promise<void> {
    const stream = this.#current();
    const { made, acknowledged } = stream;
    if (acknowledged > 0) await this.#send(stream, Math.max(0, acknowledged - 3), Math.min(3, acknowledged));
    if (!stream.registered) return;
    const tip = await this.ask(() => this.#client.tip(made.stream));
    if (tip === undefined) return;
    const next = Number(Object(tip.body).next_seq);
    expectThat(next >= acknowledged && next <= acknowledged + MAX_SEGMENT, `tip ${next}, acknowledged ${acknowledged}`);
  }

  async #send(stream: OpenStream, first: number, count: number): Promise<void> {
    const { receipts } = stream.made;
    const end = Math.min(first + count, receipts.length);
    const single = end === first + 1 ? receipts[first] : undefined;
    const answer = await this.ask(() =>
      single === undefined
        ? this.#client.segment(segmentOf(stream.made, first, end))
        : this.#client.receipt(single.bytes),
    );
    if (answer === undefined) return;
    expectThat(answer.status === 200, `receipts ${first} to ${end}: ${answer.status} ${JSON.stringify(answer.body)}`);
    place(stream, first, single === undefined ? Object(answer.body).first_index : Object(answer.body).index);
    stream.acknowledged = Math.max(stream.acknowledged, end);
  }

  async #fork({ rival }: OpenStream): Promise<void> {
    const answer: Answer | undefined = await this.ask(() => this.#client.receipt(rival));
    expectThat(
      answer === undefined || (answer.status === 409 && Object(answer.body).error?.code === "ERR_STREAM_FORK"),
      `a fork was answered with ${JSON.stringify(answer)}`,
    );
  }

  #current(): OpenStream {
    const last = this.#streams.at(-1);
    if (last !== undefined && last.acknowledged < last.made.receipts.length) return last;
    const keys = keysOf(`${this.#name} ${this.#streams.length}`);
    const made = makeStream({ keys, log: LEDGER_ORIGIN, calls: CALLS });
    const { heartbeat } = receiptContents(keys, LEDGER_ORIGIN);
    const rival = makeStream({ keys, log: LEDGER_ORIGIN, count: 2 }).next(heartbeat).bytes;
    const stream = { made, rival, places: new Map<number, number>(), registered: false, acknowledged: 0 };
    this.#streams.push(stream);
    return stream;
  }
}

/** A place that was told once is told again, before and after a kill. */
function place({ places }: OpenStream, seq: number, index: number): void {
  expectThat(index === (places.get(seq) ?? index), `receipt ${seq}: index ${index}, before ${places.get(seq)}`);
  places.set(seq, index);
}

function keysOf(name: string): GatewayKeys {
  const signer = (role: string): GatewayKeys["receipt"] =>
    createSigner("ed25519", formatUtf8(`${role} of ${name}`.padEnd(32, ".").slice(0, 32)));
  return { instance: signer("i"), receipt: signer("r") };
}
