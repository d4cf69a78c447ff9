/** `kill -9` of a real ledger process amid submissions, again and again (needs `npm run build`). */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { checkLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { checkRoots, readEntries, readPublished, type SeenHead } from "../support/ledger-reader.ts";
import { eventually, LEDGER_KEYS, LEDGER_ORIGIN, SUBMIT } from "../support/ledger-service.ts";
import { type SpawnedLedger, spawnLedger } from "../support/ledger-spawn.ts";
import { refusal, registrationOf, Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { type FakeWitness, startFakeWitness } from "../support/ledger-witness.ts";
import { gatewayKeys, type MadeStream, makeStream, receiptContents } from "../support/receipts.ts";

const RAW_KILLS = 20;
const RECEIPT_KILLS = 30;
const WRITERS = 16;
const GATEWAYS = 3;
/** New receipts of a gateway in one round, so that no stream ends before the last kill; then it sends again what it sent. */
const ROUND_RECEIPTS = 80;

let folder = "";
let witness: FakeWitness;
let policy = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "countersign-kill-"));
  witness = await startFakeWitness(1);
  const logs = LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("");
  policy = `${logs}${witness.policyLine}\nquorum w1\n`;
});
afterAll(async () => {
  await witness.close();
  await rm(folder, { recursive: true, force: true });
});

/** What a run of kills saw from outside. */
interface Kills {
  readonly heads: SeenHead[];
  readonly starts: number[];
}

/** Starts the ledger, lets `work` submit until the process is killed, and does so `kills` times; then runs `check`. */
async function killAmid(
  kind: "raw" | "receipts",
  kills: number,
  work: (url: string, round: number) => Promise<unknown>,
  check: (ledger: SpawnedLedger, seen: Kills) => Promise<void>,
): Promise<void> {
  const seen: Kills = { heads: [], starts: [] };
  witness.size = 0n;
  for (let round = 0; round < kills; round += 1) {
    const ledger = await spawnLedger(join(folder, kind), kind, policy);
    seen.starts.push(ledger.startMs);
    const working = work(ledger.url, round);
    await new Promise((resolve) => setTimeout(resolve, 20 + ((round * 53) % 400)));
    const head = await readPublished(ledger.url, policy);
    if (head !== undefined) seen.heads.push(head.checkpoint);
    await ledger.kill();
    await working;
  }
  const ledger = await spawnLedger(join(folder, kind), kind, policy);
  await check(ledger, seen);
  await ledger.stop();
}

/** The published head once it covers `size` entries. */
function headAbove(url: string, size: number): Promise<SeenHead> {
  return eventually(async () => {
    const head = (await readPublished(url, policy))?.checkpoint;
    return head !== undefined && head.size >= BigInt(size) ? head : undefined;
  });
}

function report(seen: Kills, kills: number, acknowledged: number, head: SeenHead): void {
  console.log(
    `${kills} kills, ${acknowledged} entries acknowledged, log of ${head.size}, ${seen.heads.length} checkpoints seen, ` +
      `slowest start ${Math.round(Math.max(...seen.starts))} ms`,
  );
}

describe(`a raw ledger that is killed ${RAW_KILLS} times amid submissions`, () => {
  const acknowledged = new Map<string, number>();

  /** Submits until the process is gone. */
  async function write(url: string, name: string): Promise<void> {
    for (let i = 0; ; i += 1) {
      const text = `${name}/${i} ${"x".repeat((i * 37) % 700)}`;
      const response = await fetch(`${url}/add`, { method: "POST", body: text, headers: SUBMIT }).catch(
        () => undefined,
      );
      const index = await response?.text().catch(() => undefined);
      if (index === undefined) return;
      expect(response?.status).toBe(200);
      acknowledged.set(text, Number(index));
    }
  }

  it("loses nothing that it acknowledged and stays one log", async () => {
    const work = (url: string, round: number): Promise<unknown> =>
      Promise.all(Array.from({ length: WRITERS }, (_, i) => write(url, `round ${round}/${i}`)));
    await killAmid("raw", RAW_KILLS, work, async (ledger, seen) => {
      const head = await headAbove(ledger.url, Math.max(...acknowledged.values()) + 1);
      await checkRoots(ledger.url, [...seen.heads, head]);
      const entries = (await readEntries(ledger.url, head.size)).map((entry) => Buffer.from(entry).toString());
      expect(acknowledged.size).toBeGreaterThan(RAW_KILLS);
      for (const [text, index] of acknowledged) expect(entries[index]).toBe(text);
      expect(new Set(entries).size).toBe(entries.length);
      const entry = formatUtf8([...acknowledged.keys()].at(-1) ?? "");
      const proof = await fetch(`${ledger.url}/log-proof?leaf=${formatHex(hashLeaf(entry))}`);
      checkLogProof({ proof: parseLogProof(await proof.text()), entry, policy: parseWitnessPolicy(policy) });
      report(seen, RAW_KILLS, acknowledged.size, head);
    });
  });
});

/** A gateway: its stream, how much of it was acknowledged, and at which indexes. */
class Gateway {
  readonly stream: MadeStream;
  readonly places = new Map<number, number>();
  readonly #rival: Uint8Array;
  #acknowledged = 0;

  constructor(seed: number) {
    this.stream = makeStream({ keys: gatewayKeys(seed), log: LEDGER_ORIGIN, calls: 1350 });
    const { heartbeat } = receiptContents(this.stream.keys, LEDGER_ORIGIN);
    this.#rival = makeStream({ keys: this.stream.keys, log: LEDGER_ORIGIN, count: 2 }).next(heartbeat).bytes;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Registers, looks at the tip, sends segments and receipts until the process is gone. */
  async work(url: string, round: number): Promise<void> {
    const client = new Submitter(url);
    const enough = this.#acknowledged + ROUND_RECEIPTS;
    try {
      await this.#resume(client);
      for (;;) {
        const first = this.#acknowledged < enough ? this.#acknowledged : Math.max(0, this.#acknowledged - 8);
        await this.#send(client, first, 1 + ((first + round) % 8));
      }
    } catch (error) {
      // The process is gone: fetch fails, or the answer was cut.
      if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
    }
  }

  /** Sends the rest of the stream. */
  async finish(url: string): Promise<void> {
    const client = new Submitter(url);
    await this.#resume(client);
    while (this.#acknowledged < this.stream.receipts.length) await this.#send(client, this.#acknowledged, 256);
  }

  async #resume(client: Submitter): Promise<void> {
    expect([200, 201]).toContain((await client.register(registrationOf(this.stream.keys))).status);
    const tip = Object(await client.tip(this.stream.stream)).body;
    // Never behind what was acknowledged; ahead of it by at most what was in flight.
    expect(tip.next_seq).toBeGreaterThanOrEqual(this.#acknowledged);
    expect(tip.next_seq).toBeLessThanOrEqual(this.#acknowledged + 8);
  }

  /** Sends receipts from `first` on. What was in flight at the kill is sent again by that, and keeps its place. */
  async #send(client: Submitter, first: number, count: number): Promise<void> {
    const end = Math.min(first + count, this.stream.receipts.length);
    if (end === first + 1) {
      const answer = await client.receipt(this.stream.receipts[first]?.bytes ?? new Uint8Array(0));
      expect(answer.status).toBe(200);
      this.#place(first, Object(answer.body).index);
    } else {
      const answer = await client.segment(segmentOf(this.stream, first, end));
      expect(answer).toMatchObject({ status: 200, body: { count: end - first } });
      this.#place(first, Object(answer.body).first_index);
    }
    this.#acknowledged = Math.max(this.#acknowledged, end);
    if (first > 2 && first % 5 === 0) {
      expect(await client.receipt(this.#rival)).toMatchObject(refusal(409, "ERR_STREAM_FORK"));
    }
  }

  /** A place that was told once is told again, before and after a kill. */
  #place(seq: number, index: number): void {
    expect(index).toBe(this.places.get(seq) ?? index);
    this.places.set(seq, index);
  }
}

describe(`a ledger of receipts that is killed ${RECEIPT_KILLS} times amid submissions`, () => {
  it("loses no acknowledged receipt, stays one log, and its streams go on to their end", async () => {
    const gateways = Array.from({ length: GATEWAYS }, (_, i) => new Gateway(10 + 2 * i));
    const work = (url: string, round: number): Promise<unknown> =>
      Promise.all(gateways.map((gateway) => gateway.work(url, round)));
    await killAmid("receipts", RECEIPT_KILLS, work, async (ledger, seen) => {
      const acknowledged = gateways.reduce((total, gateway) => total + gateway.acknowledged, 0);
      expect(acknowledged).toBeGreaterThan(RECEIPT_KILLS);
      await Promise.all(gateways.map((gateway) => gateway.finish(ledger.url)));
      const total = 1 + gateways.reduce((sum, { stream }) => sum + 1 + stream.receipts.length, 0);
      const head = await headAbove(ledger.url, total);
      // Genesis, registrations and every receipt, each once: nothing lost and nothing twice.
      expect(head.size).toBe(BigInt(total));
      await checkRoots(ledger.url, [...seen.heads, head]);
      const entries = (await readEntries(ledger.url, head.size)).map((entry) => Buffer.from(entry).toString());
      for (const gateway of gateways) checkStream(gateway, entries);
      report(seen, RECEIPT_KILLS, acknowledged, head);
    });
  });

  /** The stream's receipts are in the log in their order, and those whose place was told are there. */
  function checkStream({ stream, places }: Gateway, entries: readonly string[]): void {
    const texts = stream.receipts.map(({ bytes }) => Buffer.from(bytes).toString());
    const own = new Set(texts);
    expect(entries.filter((entry) => own.has(entry))).toEqual(texts);
    for (const [seq, index] of places) expect(entries[index]).toBe(texts[seq]);
  }
});
