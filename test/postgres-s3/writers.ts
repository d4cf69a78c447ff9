/**
 * Clients of a cluster that is being killed: each sends until it is answered, to whichever node answers, and knows at which
 * index everything was acknowledged. An answer that contradicts an earlier one rejects `done`.
 */

import { SUBMIT } from "../support/ledger-service.ts";
import { type Answer, registrationOf, Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { gatewayKeys, type MadeStream, makeStream } from "../support/receipts.ts";

const RETRY_MS = 25;
/** Every so many answers an older entry is sent again. */
const REPEAT_EVERY = 16;
const CALLS = 40;

/** What a client sends to: the addresses of its log at each node. */
export type Addresses = readonly string[];

/** True if the answer says to try again: nothing was acknowledged. */
function mustRetry(status: number): boolean {
  return status === 429 || status === 503;
}

/** Asks one node after the other until one answers. */
async function persist<T extends { readonly status: number }>(
  urls: Addresses,
  first: number,
  ask: (url: string) => Promise<T>,
): Promise<T> {
  for (let attempt = first; ; attempt += 1) {
    const answer = await ask(urls[attempt % urls.length] ?? "").catch((error: unknown) => {
      // A connection that broke, or an answer that was cut; anything else is a finding.
      if (error instanceof TypeError || error instanceof SyntaxError) return undefined;
      throw error;
    });
    if (answer !== undefined && !mustRetry(answer.status)) return answer;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** How long nobody was told that something is durable. */
export class Pulse {
  #last = performance.now();
  #longestMs = 0;

  /** Something was acknowledged. */
  beat(): void {
    this.#longestMs = this.longestMs;
    this.#last = performance.now();
  }

  /** The longest time without an acknowledgement since the last `restart`, the one that lasts included. */
  get longestMs(): number {
    return Math.max(this.#longestMs, performance.now() - this.#last);
  }

  /** Forgets what was before the newest acknowledgement. */
  restart(): void {
    this.#longestMs = 0;
  }
}

/** Adds entries to the raw log. */
export class RawClient {
  readonly #urls: Addresses;
  readonly #name: string;
  readonly #pulse: Pulse;
  readonly #places: number[] = [];
  #isStopping = false;

  /** @param pulse  told of every acknowledgement */
  constructor(urls: Addresses, name: string, pulse: Pulse) {
    [this.#urls, this.#name, this.#pulse] = [urls, name, pulse];
  }

  get acknowledged(): number {
    return this.#places.length;
  }

  /** The smallest size of a log that holds everything that was acknowledged. */
  get reach(): number {
    return this.#places.reduce((most, index) => Math.max(most, index + 1), 0);
  }

  stop(): void {
    this.#isStopping = true;
  }

  async run(): Promise<void> {
    while (!this.#isStopping) {
      const i = this.#places.length;
      this.#places.push(await this.#add(i));
      if (i % REPEAT_EVERY !== REPEAT_EVERY - 1) continue;
      const older = (i * 7) % (i + 1);
      const again = await this.#add(older);
      if (again !== this.#places[older])
        throw new Error(`${this.#name}/${older}: index ${again}, before ${this.#places[older]}`);
    }
  }

  /** Fails unless the log holds what was acknowledged, where it was, and once. */
  check(entries: readonly Uint8Array[]): void {
    for (const [i, index] of this.#places.entries()) {
      const entry = Buffer.from(entries[index] ?? new Uint8Array(0)).toString();
      if (entry !== this.#text(i))
        throw new Error(`${this.#name}/${i} was acknowledged at ${index}, which holds ${entry}`);
    }
  }

  async #add(i: number): Promise<number> {
    const { status, text } = await persist(this.#urls, i, async (url) => {
      const response = await fetch(`${url}/add`, { method: "POST", body: this.#text(i), headers: SUBMIT });
      return { status: response.status, text: await response.text() };
    });
    if (status !== 200) throw new Error(`POST /add: ${status} ${text}`);
    this.#pulse.beat();
    return Number(text);
  }

  #text(i: number): string {
    return `${this.#name}/${i} ${"x".repeat((i * 37) % 400)}`;
  }
}

/** Plays gateways: streams of receipts in segments and alone, through any node. */
export class StreamClient {
  readonly #urls: Addresses;
  readonly #origin: string;
  readonly #seed: number;
  readonly #streams: { readonly made: MadeStream; readonly places: Map<number, number> }[] = [];
  #isStopping = false;
  #requests = 0;

  constructor(urls: Addresses, origin: string, seed: number) {
    [this.#urls, this.#origin, this.#seed] = [urls, origin, seed];
  }

  get acknowledged(): number {
    return this.#streams.reduce((total, { places }) => total + places.size, 0);
  }

  /** The smallest size of a log that holds everything that was acknowledged. */
  get reach(): number {
    const indexes = this.#streams.flatMap(({ places }) => [...places.values()]);
    return indexes.reduce((most, index) => Math.max(most, index + 1), 0);
  }

  stop(): void {
    this.#isStopping = true;
  }

  async run(): Promise<void> {
    while (!this.#isStopping) {
      const keys = gatewayKeys(this.#seed + 2 * this.#streams.length);
      const made = makeStream({ keys, log: this.#origin, calls: CALLS });
      await this.#ask((client) => client.register(registrationOf(keys, { origin: this.#origin })), [200, 201]);
      const stream = { made, places: new Map<number, number>() };
      this.#streams.push(stream);
      for (let first = 0; first < made.receipts.length && !this.#isStopping; ) first = await this.#send(stream, first);
    }
  }

  /** Fails unless each stream is in the log in its order, each receipt once, and where it was acknowledged. */
  check(entries: readonly Uint8Array[]): void {
    const texts = entries.map((entry) => Buffer.from(entry).toString("latin1"));
    for (const { made, places } of this.#streams) {
      const own = made.receipts.map(({ bytes }) => Buffer.from(bytes).toString("latin1"));
      const all = new Set(own);
      const found = texts.filter((text) => all.has(text));
      if (found.some((text, i) => text !== own[i])) throw new Error("a stream is not in the log in its order");
      for (const [seq, index] of places) {
        if (texts[index] !== own[seq])
          throw new Error(`receipt ${seq} was acknowledged at ${index}, which holds another`);
      }
    }
  }

  /** @returns the seq behind what was sent */
  async #send({ made, places }: { made: MadeStream; places: Map<number, number> }, first: number): Promise<number> {
    const end = Math.min(made.receipts.length, first + 1 + ((first * 5) % 24));
    const single = end === first + 1 ? made.receipts[first] : undefined;
    const { body } = await this.#ask(
      (client) =>
        single === undefined ? client.segment(segmentOf(made, first, end, this.#origin)) : client.receipt(single.bytes),
      [200],
    );
    const index = Number(single === undefined ? Object(body).first_index : Object(body).index);
    for (let seq = first; seq < end; seq += 1) places.set(seq, index + seq - first);
    return end;
  }

  async #ask(request: (client: Submitter) => Promise<Answer>, want: readonly number[]): Promise<Answer> {
    this.#requests += 1;
    const answer = await persist(this.#urls, this.#requests, (url) => request(new Submitter(url)));
    if (want.includes(answer.status)) return answer;
    throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  }
}
