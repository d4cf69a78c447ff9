import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { Backlog } from "../../ledger/checks/backlog.ts";
import { codeOf } from "../support/code-of.ts";
import { damagedStream } from "../support/damaged-stream.ts";
import {
  errorCode,
  eventually,
  removeLedgers,
  startTestLedger,
  type TestLedger,
  type TestLedgerOptions,
} from "../support/ledger-service.ts";
import { refusal, registrationOf, Submitter, segmentOf, tipOf } from "../support/ledger-submitter.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";

interface Findings {
  readonly checked_size: number;
  readonly count: number;
  readonly next?: number;
  readonly findings: readonly {
    readonly index: number;
    readonly code: string;
    readonly stream: string;
    readonly seq: number;
    readonly segment: { readonly first_seq: number; readonly count: number } | null;
  }[];
}

const keys = gatewayKeys(10);
const COUNT = 40;
/** Seqs of false receipts in the segment from 10 to 30, and why each is false. */
const FALSE = { 12: "signature", 15: "shape", 18: "spelling", 21: "prev", 24: "syntax", 29: "signature" } as const;
const WHY = [
  [12, "ERR_SIGNATURE_INVALID"],
  [15, "ERR_SHAPE"],
  [18, "ERR_JSON_CANONICAL"],
  [21, "ERR_STREAM_PREV"],
  [24, "ERR_JSON_SYNTAX"],
  [29, "ERR_SIGNATURE_INVALID"],
] as const;
/** Genesis and registration stand in front of the stream. */
const BEFORE = 2;
const bad = damagedStream(keys, COUNT, FALSE);

const ledgers: TestLedger[] = [];
afterAll(() => removeLedgers(ledgers));

async function start(options: TestLedgerOptions = {}): Promise<TestLedger> {
  const ledger = await startTestLedger({ ...options, config: { log_kind: "receipts", ...options.config } });
  ledgers.push(ledger);
  return ledger;
}

async function findingsOf(ledger: TestLedger, query = ""): Promise<Findings> {
  const answer: Findings = JSON.parse(await (await ledger.get(`/findings${query}`)).text());
  return answer;
}

/** Waits until everything that is in the log was checked. */
function untilChecked(ledger: TestLedger, size: number): Promise<Findings> {
  return eventually(async () => {
    const found = await findingsOf(ledger);
    return found.checked_size === size ? found : undefined;
  });
}

describe("receipts that a segment brought in unread", () => {
  let ledger: TestLedger;
  let client: Submitter;
  beforeEach(async () => {
    ledger = await start();
    client = new Submitter(ledger.url);
    await client.register(registrationOf(keys));
    for (const [first, end] of [
      [0, 10],
      [10, 30],
      [30, 40],
    ] as const) {
      expect((await client.segment(segmentOf(bad, first, end))).status).toBe(200);
    }
  });
  afterEach(() => ledger.close());

  it("are checked, and each false one has a finding with its code and the segment that brought it", async () => {
    const { findings, count } = await untilChecked(ledger, BEFORE + COUNT);
    expect(findings.map(({ seq, code, index }) => [seq, code, index])).toEqual(
      WHY.map(([seq, code]) => [seq, code, BEFORE + seq]),
    );
    expect(count).toBe(WHY.length);
    for (const { segment, stream } of findings) {
      expect(stream).toBe(bad.stream);
      expect(segment).toMatchObject({ kind: "segment", first_seq: 10, count: 20, signatures: [{}] });
    }
    const metrics = await (await ledger.get("/metrics")).text();
    expect(metrics).toMatch(/^ledger_findings 6$/m);
    expect(metrics).toMatch(/^ledger_unchecked_entries 0$/m);
    const readiness: unknown = await (await ledger.get("/readyz")).json();
    expect(readiness).toMatchObject({ ready: true, checked_size: BEFORE + COUNT });
    // One line a stream: who lies often does not fill the disk.
    expect(ledger.lines.filter(({ level }) => level === "error").map(({ fields }) => fields)).toEqual(
      findings.slice(0, 1).map(({ index, code, stream, seq }) => ({ index, code, stream, seq })),
    );
    expect((await findingsOf(ledger, `?from=${BEFORE + 24}`)).findings.map(({ seq }) => seq)).toEqual([24, 29]);
    expect(await errorCode(await ledger.get("/findings?to=3"))).toBe("ERR_REQUEST");
  });

  it("stay in the log, and the stream goes on behind them", async () => {
    expect((await client.tip(bad.stream)).body).toMatchObject(tipOf(bad, COUNT));
    // Sent again, the segment does not continue the tip any more: now each of its receipts is read before the answer.
    expect(await client.segment(segmentOf(bad, 10, 30))).toMatchObject(refusal(403, "ERR_SIGNATURE_INVALID"));
    expect(await client.segment(segmentOf(bad, 13, 15))).toMatchObject({
      status: 200,
      body: { first_index: BEFORE + 13 },
    });
    const right = damagedStream(keys, COUNT);
    const fork = right.receipts[24]?.bytes ?? new Uint8Array(0);
    expect(await client.receipt(fork)).toMatchObject(refusal(409, "ERR_STREAM_FORK", { tip: tipOf(bad, COUNT) }));
  });

  it("make the ledger read later segments of the stream before it admits them, also after a restart", async () => {
    const longer = damagedStream(keys, COUNT + 10, { ...FALSE, 45: "signature" });
    for (const again of [ledger, undefined]) {
      const running = again ?? (await start({ dataDir: ledger.dataDir }));
      await untilChecked(running, BEFORE + COUNT);
      const sender = new Submitter(running.url);
      const refused = refusal(403, "ERR_SIGNATURE_INVALID");
      expect(await sender.segment(segmentOf(longer, COUNT, COUNT + 10))).toMatchObject(refused);
      await running.close();
    }
    const last = await start({ dataDir: ledger.dataDir });
    await untilChecked(last, BEFORE + COUNT);
    const answer = await new Submitter(last.url).segment(segmentOf(longer, COUNT, 45));
    expect(answer).toMatchObject({ status: 200, body: { first_index: BEFORE + COUNT, count: 5 } });
  });

  it.each([
    ["as it was", async () => undefined],
    ["without its index", (folder: string) => rm(join(folder, "index"), { recursive: true })],
  ])("are found again by a ledger that is started %s", async (_, damage) => {
    const before = await untilChecked(ledger, BEFORE + COUNT);
    await ledger.close();
    await damage(ledger.dataDir);
    const again = await start({ dataDir: ledger.dataDir });
    const found = await untilChecked(again, BEFORE + COUNT);
    const short = ({ findings }: Findings): unknown => findings.map(({ index, code }) => [index, code]);
    expect(short(found)).toEqual(short(before));
    expect((await new Submitter(again.url).tip(bad.stream)).body).toMatchObject(tipOf(bad, COUNT));
  });
});

describe("a segment that opens its stream", () => {
  it("is admitted by its signature once its open receipt was read; the others are read in the background", async () => {
    const ledger = await start();
    const client = new Submitter(ledger.url);
    await client.register(registrationOf(keys));
    const stream = damagedStream(keys, COUNT, { 0: "signature", 3: "signature" });
    expect(await client.segment(segmentOf(stream, 0, 10))).toMatchObject(refusal(403, "ERR_SIGNATURE_INVALID"));
    const right = damagedStream(keys, COUNT, { 3: "signature", 7: "shape" });
    const answer = { status: 200, body: { first_index: BEFORE, count: 10 } };
    expect(await client.segment(segmentOf(right, 0, 10))).toMatchObject(answer);
    const { findings } = await untilChecked(ledger, BEFORE + 10);
    expect(findings.map(({ seq, code, segment }) => [seq, code, segment?.first_seq])).toEqual([
      [3, "ERR_SIGNATURE_INVALID", 0],
      [7, "ERR_SHAPE", 0],
    ]);
    // Sent again it opens nothing, and is read as a whole.
    expect(await client.segment(segmentOf(right, 0, 10))).toMatchObject(refusal(403, "ERR_SIGNATURE_INVALID"));
    expect(await client.segment(segmentOf(right, 0, 3))).toMatchObject({
      ...answer,
      body: { first_index: BEFORE, count: 3 },
    });
    await ledger.close();
    const again = await start({ dataDir: ledger.dataDir });
    expect((await new Submitter(again.url).tip(right.stream)).body).toMatchObject(tipOf(right, 10));
  });
});

describe("a segment that continues its stream", () => {
  it("is refused at once if a receipt claims another place, another stream, no place, or stands behind a close", async () => {
    const ledger = await start();
    const client = new Submitter(ledger.url);
    const stream = await client.open(makeStream({ keys: gatewayKeys(20), calls: 2, log: "ledger.example/test" }));
    expect((await client.segment(segmentOf(stream, 0, 4))).status).toBe(200);
    const { receipts } = stream;
    const [, , , , a, b, c, , , last] = receipts;
    const other = bad.receipts[6];
    const prevOf = { hash: receipts[3]?.hash ?? new Uint8Array(32) };
    const send = (list: readonly ({ readonly bytes: Uint8Array } | undefined)[]): Promise<unknown> => {
      const made = list.map((receipt) => ({ bytes: receipt?.bytes ?? new Uint8Array(0), ...prevOf }));
      const head = receipts.slice(0, 4);
      return client.segment(segmentOf({ ...stream, receipts: [...head, ...made] }, 4, 4 + made.length));
    };
    expect(await send([a, c])).toMatchObject(refusal(400, "ERR_SEGMENT"));
    expect(await send([a, b, other])).toMatchObject(refusal(400, "ERR_SEGMENT"));
    expect(await send([a, { bytes: Buffer.from('{"eat_profile":"x"}') }])).toMatchObject(refusal(400, "ERR_SHAPE"));
    expect(await send([a, { bytes: Buffer.from("ҐX") }])).toMatchObject({ status: 400 });
    expect(last).toBeDefined();
    const closed = [...receipts.slice(4), { bytes: rightAfter(receipts.at(-1)?.bytes), ...prevOf }];
    expect(await send(closed)).toMatchObject(refusal(409, "ERR_STREAM_CLOSED"));
    expect((await client.segment(segmentOf(stream, 4, receipts.length))).status).toBe(200);
    expect((await client.tip(stream.stream)).body).toMatchObject({ closed: true, next_seq: receipts.length });
  });

  it("waits for the checks above their bound, with 429 and Retry-After", async () => {
    const ledger = await start({ config: { log_kind: "receipts", check_backlog: { entries: 1, bytes: 1_000_000 } } });
    const client = new Submitter(ledger.url);
    const stream = damagedStream(gatewayKeys(30), 430);
    await client.register(registrationOf(stream.keys));
    await client.segment(segmentOf(stream, 0, 10));
    // Side by side: one of them finds receipts of the others unread, or the others done.
    let [next, refusals] = [10, 0];
    while (next < 370) {
      const [first, second] = await Promise.all([
        client.segment(segmentOf(stream, next, next + 30)),
        client.segment(segmentOf(stream, next + 30, next + 60)),
      ]);
      for (const { status, body } of [first, second]) {
        if (status === 200) next += 30;
        else if (status === 429) refusals += 1;
        else expect(body).toMatchObject({ error: { code: "ERR_STREAM_GAP" } });
      }
    }
    expect(refusals).toBeGreaterThan(0);
    expect((await untilChecked(ledger, BEFORE + next)).count).toBe(0);
  });
});

describe("the backlog", () => {
  it("counts what waits, is bounded, and lets go in the order of the log", () => {
    const backlog = new Backlog({ entries: 10, bytes: 1000 }, 3n, 5n);
    expect([backlog.first, backlog.entries]).toEqual([3n, 0]);
    backlog.add(5n, 4, 400);
    backlog.add(9n, 2, 100);
    backlog.add(20n, 3, 100);
    expect([backlog.entries, backlog.bytes]).toEqual([9, 600]);
    backlog.requireRoom();
    backlog.add(23n, 1, 10);
    expect(codeOf(() => backlog.requireRoom())).toBe("ERR_CHECK_BACKLOG");
    expect(backlog.peek(0n, 100n, 16, 256)).toEqual({ first: 3n, end: 5n });
    expect(backlog.peek(5n, 100n, 16, 256)).toEqual({ first: 5n, end: 11n });
    expect(backlog.peek(5n, 100n, 16, 8)).toEqual({ first: 5n, end: 8n });
    expect(backlog.peek(11n, 22n, 16, 256)).toEqual({ first: 20n, end: 22n });
    expect(backlog.peek(11n, 20n, 16, 256)).toBeUndefined();
    backlog.drop(5n, 999, 2);
    expect([backlog.first, backlog.entries]).toEqual([5n, 10]);
    backlog.drop(8n, 300, 3);
    expect([backlog.first, backlog.entries, backlog.bytes]).toEqual([8n, 7, 310]);
    backlog.drop(11n, 200, 3);
    expect(backlog.first).toBe(20n);
    backlog.drop(24n, 110, 4);
    expect([backlog.first, backlog.entries, backlog.bytes]).toEqual([undefined, 0, 0]);
    backlog.add(30n, 1, 1001);
    expect(codeOf(() => backlog.requireRoom())).toBe("ERR_CHECK_BACKLOG");
  });
});

/** A close receipt once more, one number later. */
function rightAfter(bytes: Uint8Array | undefined): Uint8Array {
  const text = Buffer.from(bytes ?? []).toString();
  return Buffer.from(text.replace(/"seq":(\d+)/, (_, seq: string) => `"seq":${Number(seq) + 1}`));
}
