import { mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { equalBytes, formatUtf8 } from "../../kernel/bytes.ts";
import { checkStreamForkFile } from "../../kernel/stream/fork-evidence.ts";
import type { Admitted } from "../../ledger/admission/admit.ts";
import { readSegment } from "../../ledger/admission/candidates.ts";
import { admitSegment } from "../../ledger/admission/continue.ts";
import { Refusal } from "../../ledger/admission/refusal.ts";
import { register } from "../../ledger/admission/register.ts";
import { StreamBook } from "../../ledger/admission/stream-book.ts";
import { makeInlineReader } from "../../ledger/reading/reader.ts";
import { formatFrame, readFrame, type WalRecord } from "../../ledger/storage/wal-frame.ts";
import { NO_SALT, readSalt, SALT_PATH } from "../../ledger/storage/wal-salt.ts";
import { type OpenTestLog, openTestLog } from "../support/ledger-log.ts";
import { MemoryDisk, MemoryIndex } from "../support/ledger-memory.ts";
import { LEDGER_ORIGIN, READ, removeLedgers, startTestLedger, type TestLedger } from "../support/ledger-service.ts";
import { type Answer, refusal, registrationOf, Submitter, segmentOf, tipOf } from "../support/ledger-submitter.ts";
import { NO_CHECKS } from "../support/no-checks.ts";
import { gatewayKeys, type MadeStream, makeStream, receiptContents } from "../support/receipts.ts";

const a = makeStream({ keys: gatewayKeys(10), log: LEDGER_ORIGIN, calls: 10 });
const b = makeStream({ keys: gatewayKeys(20), log: LEDGER_ORIGIN, calls: 10 });
const { heartbeat } = receiptContents(a.keys, LEDGER_ORIGIN);
/** Another fifth receipt of stream a. */
const rival = makeStream({ keys: a.keys, log: LEDGER_ORIGIN, count: 4 }).next(heartbeat);

function bytesAt({ receipts }: MadeStream, seq: number): Uint8Array {
  return receipts[seq]?.bytes ?? new Uint8Array(0);
}

/** Records in the frames at the start of a file. */
function recordsOf(file: Uint8Array, salt: bigint): readonly WalRecord[] {
  const records: WalRecord[] = [];
  for (let at = 0; ; ) {
    const frame = readFrame(file, at, salt);
    if (frame === undefined) return records;
    records.push(...frame.records);
    at += frame.length;
  }
}

/** Puts the refused receipt into the archive as well, as a retired write-ahead file leaves it. */
async function archiveConflict(dataDir: string): Promise<void> {
  await mkdir(join(dataDir, "archive"), { recursive: true });
  const records = [{ kind: "conflict" as const, bytes: rival.bytes }];
  const { bytes } = formatFrame({ batch: 1n, firstIndex: 0n, records }, NO_SALT);
  await writeFile(join(dataDir, "archive", "0000000000000001.frames"), bytes);
}

describe("a ledger that is started again", () => {
  const ledgers: TestLedger[] = [];
  let dataDir = "";
  let answers: readonly Answer[] = [];
  afterAll(() => removeLedgers(ledgers));

  /** Two streams, interleaved in runs of several lengths; all of it is sent again by `replayed`. */
  async function submitAll(client: Submitter): Promise<readonly Answer[]> {
    return [
      await client.register(registrationOf(a.keys)),
      await client.register(registrationOf(b.keys)),
      await client.segment(segmentOf(a, 0, 4)),
      await client.receipt(bytesAt(b, 0)),
      await client.segment(segmentOf(a, 4, 10)),
      await client.segment(segmentOf(b, 1, 9)),
      await client.receipt(bytesAt(a, 10)),
    ];
  }

  beforeEach(async () => {
    const ledger = await startTestLedger({ config: { log_kind: "receipts" } });
    ledgers.push(ledger);
    dataDir = ledger.dataDir;
    const client = new Submitter(ledger.url);
    answers = await submitAll(client);
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 200, 200, 200, 200, 200]);
    expect(await client.receipt(rival.bytes)).toMatchObject(refusal(409, "ERR_STREAM_FORK"));
    await ledger.close();
  });

  it.each([
    ["as it was", async () => undefined],
    ["without the index", () => rm(join(dataDir, "index"), { recursive: true })],
    ["with an index that cannot be opened", () => truncate(join(dataDir, "index", "CURRENT"), 3)],
  ])("%s, knows every place, every tip and every fork, and goes on", async (_, damage) => {
    await damage();
    const ledger = await startTestLedger({ dataDir, config: { log_kind: "receipts" } });
    ledgers.push(ledger);
    const client = new Submitter(ledger.url);
    expect((await client.tip(a.stream)).body).toMatchObject(tipOf(a, 11));
    expect((await client.tip(b.stream)).body).toMatchObject(tipOf(b, 9));
    // Sent again, everything has its old place; tips in the answers are those of now.
    const again = await submitAll(client);
    const places = (of: readonly Answer[]): unknown => of.map(({ body }) => ({ ...Object(body), tip: undefined }));
    expect(places(again)).toEqual(places(answers));
    expect(again.map(({ status }) => status)).toEqual(Array<number>(7).fill(200));
    expect(await client.receipt(rival.bytes)).toMatchObject(refusal(409, "ERR_STREAM_FORK", { tip: tipOf(a, 11) }));
    expect(await client.receipt(bytesAt(a, 12))).toMatchObject(refusal(409, "ERR_STREAM_GAP", { tip: tipOf(a, 11) }));
    expect((await client.segment(segmentOf(a, 9, 20))).status).toBe(200);
    expect((await client.segment(segmentOf(b, 9, 26))).status).toBe(200);
    expect((await client.tip(b.stream)).body).toMatchObject({ next_seq: 26, closed: true });
  });

  it("shows evidence of the fork that anybody can check, to readers alone", async () => {
    for (const from of ["write-ahead log", "archive"]) {
      if (from === "archive") await archiveConflict(dataDir);
      const ledger = await startTestLedger({ dataDir, config: { log_kind: "receipts" } });
      const path = `/evidence/streams/${a.stream}`;
      const documents = (await (await ledger.get(path, READ)).text()).split("\n");
      const refused = await ledger.get(path);
      const none = await ledger.get(`/evidence/streams/${b.stream}`, READ);
      const unknown = await ledger.get(`/evidence/streams/${"0".repeat(64)}`, READ);
      await ledger.close();
      expect(documents, from).toHaveLength(2);
      expect(checkStreamForkFile(formatUtf8(documents[0] ?? ""))).toEqual({ stream: a.stream, seq: 4 });
      expect(documents[0]).toContain(Buffer.from(rival.bytes).toString());
      expect([refused.status, none.status, await none.text(), unknown.status]).toEqual([401, 200, "", 404]);
    }
  });

  it("has the refused receipt of the fork and the signed segments on disk", async () => {
    const names = (await readdir(join(dataDir, "wal"))).filter((name) => /^\d+\.wal$/.test(name));
    const files = await Promise.all(names.map((name) => readFile(join(dataDir, "wal", name))));
    const salt = readSalt(await readFile(join(dataDir, SALT_PATH)));
    const records = files.flatMap((file) => recordsOf(new Uint8Array(file), salt));
    const kept = records.filter(({ kind }) => kind === "conflict").map(({ bytes }) => Buffer.from(bytes).toString());
    expect(kept).toEqual([Buffer.from(rival.bytes).toString()]);
    const envelopes = [segmentOf(a, 0, 4), segmentOf(a, 4, 10), segmentOf(b, 1, 9)].map(
      (segment) => Buffer.from(segment).toString().split("\n")[0],
    );
    const segments = records.filter(({ kind }) => kind === "segment");
    expect(segments.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(envelopes);
  });
});

/** A log of receipts on a memory disk, with small write-ahead files. */
interface StreamLog {
  readonly log: OpenTestLog;
  readonly submit: (segment: Uint8Array) => Promise<Admitted>;
  readonly register: (stream: MadeStream) => Promise<unknown>;
  readonly streams: StreamBook;
}

async function openStreamLog(disk: MemoryDisk, store = new MemoryIndex()): Promise<StreamLog> {
  const streams = new StreamBook();
  const log = await openTestLog(disk, { store, replay: streams, fileBytes: 32_768 });
  const parts = { ...log, streams, onConflict: () => undefined, checks: NO_CHECKS };
  const desk = { streams, origin: LEDGER_ORIGIN, reader: makeInlineReader() };
  const admission = { software_evidence: "allow" } as const;
  return {
    log,
    streams,
    submit: async (segment) => admitSegment(parts, desk, await readSegment(desk, segment)),
    register: ({ keys }) =>
      register({ origin: LEDGER_ORIGIN, admission, sequencer: log.sequencer, streams }, registrationOf(keys)),
  };
}

describe("a log of receipts on a disk that fails", () => {
  it("has every acknowledged receipt and tip after a power cut, whatever became of the index", async () => {
    const disk = new MemoryDisk();
    const index = new MemoryIndex();
    const { log, submit, register: registerStream } = await openStreamLog(disk, index);
    await registerStream(a);
    await submit(segmentOf(a, 0, 5));
    await log.index.flush();
    const old = copyOf(index);
    await submit(segmentOf(a, 5, 12));
    await log.index.flush();
    const damaged = copyOf(index);
    damaged.table.set(`t/${a.stream}`, formatUtf8('{"next_seq":3}'));
    const foreign = copyOf(index);
    foreign.watermark = 1_000_000n;
    const cut = disk.crash("lose");
    for (const store of [copyOf(index), old, damaged, foreign, new MemoryIndex()]) {
      const found = await openStreamLog(cut.crash("keep"), store);
      expect(found.streams.find(a.stream)?.tip()).toEqual(tipOf(a, 12));
      expect(await found.submit(segmentOf(a, 3, 14))).toMatchObject({ firstIndex: 4n, count: 11, tip: tipOf(a, 14) });
      await found.log.close();
    }
  });

  it("keeps forks and segments in the archive when the write-ahead files that held them are given up", async () => {
    const disk = new MemoryDisk();
    const long = makeStream({ keys: a.keys, log: LEDGER_ORIGIN, calls: 200 });
    const { log, submit, register: registerStream } = await openStreamLog(disk);
    await registerStream(long);
    const sent = [segmentOf(long, 0, 20), segmentOf(long, 20, 60)];
    for (const segment of sent) await submit(segment);
    const fork = { ...long, receipts: [...long.receipts.slice(0, 4), rival] };
    await expect(submit(segmentOf(fork, 4, 5))).rejects.toBeInstanceOf(Refusal);
    await expect(submit(segmentOf(fork, 4, 5))).rejects.toBeInstanceOf(Refusal);
    for (let seq = 60; seq < 400; seq += 20) await submit(segmentOf(long, seq, seq + 20));
    await log.index.flush();
    // Also at the same time, as a stop in the middle of the regular run asks for.
    await Promise.all([log.retire(), log.retire()]);
    expect(log.halt.fault).toBeUndefined();
    expect(disk.file("wal/0000000000000001.wal")).toBeUndefined();
    const archived = disk.paths().filter((path) => path.startsWith("archive/"));
    const records = archived.flatMap((path) => recordsOf(disk.file(path) ?? new Uint8Array(0), NO_SALT));
    // The fork came twice and is kept once.
    const conflicts = records.filter(({ kind }) => kind === "conflict");
    expect(conflicts.map(({ bytes }) => equalBytes(bytes, rival.bytes))).toEqual([true]);
    const envelopes = records
      .filter(({ kind }) => kind === "segment")
      .map(({ bytes }) => Buffer.from(bytes).toString());
    for (const segment of sent) expect(envelopes).toContain(Buffer.from(segment).toString().split("\n")[0]);
    expect(records.some(({ kind }) => kind === "entry")).toBe(false);
    await log.close();
    const again = await openStreamLog(disk.crash("lose"));
    expect(again.streams.find(a.stream)?.tip()).toEqual(tipOf(long, 400));
    expect(await again.submit(segmentOf(long, 0, 20))).toMatchObject({ firstIndex: 1n });
    await again.log.close();
  });

  it("refuses everything after a failed sync, and knows at the next start what was acknowledged", async () => {
    const disk = new MemoryDisk();
    const { log, submit, register: registerStream } = await openStreamLog(disk);
    await registerStream(a);
    await submit(segmentOf(a, 0, 5));
    disk.fault = { step: disk.steps.length + 1, mode: "failed but kept" };
    await expect(submit(segmentOf(a, 5, 9))).rejects.toMatchObject({ code: "ERR_LEDGER_STOPPED" });
    await expect(submit(segmentOf(a, 5, 9))).rejects.toMatchObject({ code: "ERR_LEDGER_STOPPED" });
    expect(log.halt.fault).toMatchObject({ code: "ERR_STORE_WRITE" });
    const { streams, submit: submitAgain } = await openStreamLog(disk.crash("keep"));
    expect([5, 9]).toContain(streams.find(a.stream)?.nextSeq);
    expect(await submitAgain(segmentOf(a, 5, 9))).toMatchObject({ count: 4, tip: tipOf(a, 9) });
  });
});

function copyOf(index: MemoryIndex): MemoryIndex {
  const copy = new MemoryIndex();
  [copy.watermark, copy.durable] = [index.watermark, index.durable];
  for (const [key, value] of index.table) copy.table.set(key, value);
  return copy;
}
