import { describe, expect, it } from "vitest";
import { rangeUnder, streamKey } from "../../api/index/keys.ts";
import { type ReceiptRow, receiptRowShape, streamRowShape } from "../../api/index/row-shapes.ts";
import { parseRow, type RowStore } from "../../api/index/rows.ts";
import { storedHashes } from "../../api/index/stored-tree.ts";
import { concat, formatUtf8 } from "../../kernel/bytes.ts";
import { checkLogFork } from "../../kernel/checkpoint/fork-evidence.ts";
import { parseHex } from "../../kernel/hex.ts";
import { hashLeaf, parseRootHash } from "../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { formatNote } from "../../kernel/note/signed-note.ts";
import { signReceipt } from "../../kernel/receipt/receipt.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { AuditedLog, genesisEntry, registrationEntry } from "../support/audited-log.ts";
import { codeOf } from "../support/code-of.ts";
import { followLog } from "../support/follow-log.ts";
import { logSigner, policyText, witnesses } from "../support/log-keys.ts";
import { MemoryRows } from "../support/memory-rows.ts";
import { gatewayKeys, makeStream, receiptContents, STREAM_START_MS } from "../support/receipts.ts";
import { sweepSize } from "../support/sweep.ts";

const keys = gatewayKeys();
const bytesOf = (receipts: readonly { readonly bytes: Uint8Array }[]): readonly Uint8Array[] =>
  receipts.map(({ bytes }) => bytes);

/** All rows as one text. */
function dump(table: ReadonlyMap<string, Uint8Array>): string {
  const lines = [...table].map(([key, value]) => `${key} ${Buffer.from(value).toString("hex")}`);
  return lines.toSorted().join("\n");
}

/** A published log with one stream of `calls` calls. */
function streamLog(calls = 2): AuditedLog {
  const { receipts } = makeStream({ calls, keys });
  return new AuditedLog().append(registrationEntry(keys), ...bytesOf(receipts)).publish();
}

async function receiptRows(rows: RowStore): Promise<readonly ReceiptRow[]> {
  const found: ReceiptRow[] = [];
  for await (const { value } of rows.range(rangeUnder("r"))) found.push(parseRow(value, receiptRowShape));
  return found;
}

describe("an auditor that follows an honest log", () => {
  it("indexes every receipt with the checks that it made, and raises no alarm", async () => {
    const log = streamLog();
    const { follower, book, alarms } = await followLog(log);
    expect(await follower.step()).toBe("current");
    expect(book.head).toMatchObject({ indexed: log.entries.length, log_kind: "receipts", forked: false });
    expect(book.head.verified?.size).toBe(log.entries.length);
    const rows = await receiptRows(book.rows);
    expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 10 }, (_, i) => i));
    for (const { checks } of rows) {
      for (const check of Object.values(checks)) expect(check).toEqual({ verdict: "pass" });
    }
    expect(await alarms()).toEqual([]);
    expect(log.unauthorized).toEqual([]);
  });

  it("makes proofs of every entry from its own hashes, over the growth of the log and full tiles", async () => {
    const { receipts } = makeStream({ calls: 260, keys });
    const all = [genesisEntry(), registrationEntry(keys), ...bytesOf(receipts)];
    const log = new AuditedLog(all);
    const { follower, book, alarms } = await followLog(log);
    for (const size of [1, 5, 255, 256, 257, 400, all.length]) {
      log.publish(size);
      expect(await follower.step()).toBe("current");
      expect(book.head.verified?.size).toBe(size);
    }
    const root = parseRootHash(parseHex(book.head.verified?.root ?? "", 32));
    const size = BigInt(all.length);
    log.isUp = false;
    for (const [i, entry] of all.entries()) {
      const index = BigInt(i);
      const proof = await proveInclusion(index, size, storedHashes(book.rows, size));
      checkInclusion({ leaf: hashLeaf(entry), index, size, root, proof });
    }
    expect(await alarms()).toEqual([]);
  });

  it("takes what a killed process left, whatever write it died in, and ends with the same rows", async () => {
    const log = streamLog(128);
    const whole = new MemoryRows();
    await (await followLog(log, whole)).follower.step();
    for (const dying of ["lost", "kept"] as const) {
      for (let write = 0; ; write += sweepSize(5, 1)) {
        const table = new Map<string, Uint8Array>();
        const rows = new MemoryRows(table, dying);
        rows.livesFor = write;
        const { follower } = await followLog(log, rows);
        const died = await follower.step().then(
          () => false,
          () => true,
        );
        if (!died) break;
        const again = await followLog(log, new MemoryRows(table));
        expect(await again.follower.step()).toBe("current");
        expect(dump(table) === dump(whole.table)).toBe(true);
      }
    }
  });

  it("stops on a damaged index, and blames nobody else for it", async () => {
    const { receipts, next } = makeStream({ keys, count: 3 });
    const log = new AuditedLog().append(registrationEntry(keys), ...bytesOf(receipts)).publish();
    const rows = new MemoryRows();
    const { follower, alarms } = await followLog(log, rows);
    await follower.step();
    rows.table.set(`u\u0000${keys.instance.publicKey.kid}`, formatUtf8("{}"));
    log.append(next(receiptContents(keys).heartbeat).bytes).publish();
    await expect(follower.step()).rejects.toMatchObject({ code: "ERR_INDEX_DAMAGE", fatal: true });
    expect(await alarms()).toEqual([]);
  });

  it("reads no meaning into the entries of a raw log", async () => {
    const log = new AuditedLog([genesisEntry("raw"), formatUtf8("anything"), formatUtf8("{}")]).publish();
    const { follower, book, alarms } = await followLog(log);
    expect(await follower.step()).toBe("current");
    expect(book.head).toMatchObject({ log_kind: "raw", indexed: 3 });
    expect(await alarms()).toEqual([]);
  });

  it("needs the reader's token for entries, and says that the ledger refuses it", async () => {
    const { follower, book } = await followLog(streamLog(), undefined, { token: "x".repeat(40) });
    await expect(follower.step()).rejects.toMatchObject({ code: "ERR_LEDGER_UNREACHABLE" });
    expect(book.head.indexed).toBe(0);
  });
});

describe("an auditor of a log that lies", () => {
  it("proves a fork at the same size and keeps both notes, durably, and follows no further", async () => {
    const log = streamLog();
    const rows = new MemoryRows();
    const { follower, alarms } = await followLog(log, rows);
    await follower.step();
    const first = log.note;
    log.entries[5] = formatUtf8("another history");
    log.publish();
    expect(await follower.step()).toBe("forked");
    const [alarm] = await alarms();
    expect(alarm).toMatchObject({ kind: "fork", code: "ERR_FORK" });
    expect(alarm?.evidence.slice(0, 2).map(({ text }) => text)).toEqual([first, log.note]);
    const document = formatUtf8(alarm?.evidence[2]?.text ?? "");
    expect(checkLogFork(document, [logSigner.key]).first.size).toBe(BigInt(log.entries.length));
    const again = await followLog(log, new MemoryRows(rows.table));
    log.requests.length = 0;
    expect(await again.follower.step()).toBe("forked");
    expect(log.requests).toEqual([]);
  });

  it("proves a fork that grew, before it reads any of its entries", async () => {
    const log = streamLog();
    const { follower, book, alarms, alarmCodes } = await followLog(log);
    await follower.step();
    const indexed = book.head.indexed;
    log.entries[2] = formatUtf8("another history");
    log.append(formatUtf8("more"), formatUtf8("and more")).publish();
    expect(await follower.step()).toBe("forked");
    expect(await alarmCodes()).toEqual(["fork ERR_FORK"]);
    expect(book.head).toMatchObject({ indexed, forked: true });
    const document = formatUtf8((await alarms())[0]?.evidence[2]?.text ?? "");
    const { first, second } = checkLogFork(document, [logSigner.key]);
    expect([first.size, second?.size]).toEqual([BigInt(indexed), BigInt(log.entries.length)]);
  });

  it("tells a shrunken log of the same history from a smaller fork", async () => {
    const log = streamLog();
    const { follower, alarmCodes } = await followLog(log);
    await follower.step();
    log.publish(4);
    expect(await follower.step()).toBe("refused");
    expect(await alarmCodes()).toEqual(["shrink ERR_SHRINK"]);
    log.publish();
    expect(await follower.step()).toBe("current");
    log.entries[1] = formatUtf8("another history");
    log.publish(4);
    expect(await follower.step()).toBe("forked");
    expect(await alarmCodes()).toEqual(["shrink ERR_SHRINK", "fork ERR_FORK"]);
  });

  it("takes no checkpoint without a quorum, and counts up instead of telling it twice", async () => {
    const log = streamLog().publish(undefined, witnesses.slice(0, 1));
    const { follower, book, alarms } = await followLog(log);
    expect(await follower.step()).toBe("refused");
    expect(await follower.step()).toBe("refused");
    expect(book.head.target).toBe(null);
    const [alarm, ...more] = await alarms();
    expect(alarm).toMatchObject({ kind: "quorum-missing", code: "ERR_QUORUM", count: 2 });
    expect(alarm?.evidence[0]?.text).toBe(log.note);
    expect(more).toEqual([]);
    log.publish();
    expect(await follower.step()).toBe("current");
  });

  it("tells false signatures, foreign keys and malformed notes apart", async () => {
    const log = streamLog();
    const { follower, alarmCodes } = await followLog(log);
    const good = log.note ?? "";
    log.note = good.replace(/^(\d+)\n/mu, (_, size: string) => `${Number(size) - 1}\n`);
    await follower.step();
    const text = log.text(3);
    log.note = formatNote(text, [witnesses[0]?.cosign(text, 1n) ?? "", witnesses[1]?.cosign(text, 1n) ?? ""]);
    await follower.step();
    log.note = "hello";
    await follower.step();
    log.note = good.replace("log.example/test\n", "log.example/other\n");
    await follower.step();
    expect(await alarmCodes()).toEqual([
      "false-signature ERR_NOTE_SIGNATURE",
      "false-signature ERR_LOG_SIGNATURE",
      "malformed-checkpoint ERR_NOTE",
      "malformed-checkpoint ERR_ORIGIN",
    ]);
  });

  it("takes a note without end for a refusal, and follows again when the ledger is honest", async () => {
    const log = streamLog();
    const { follower, alarmCodes } = await followLog(log);
    log.lie = (path, truth) => (path === "checkpoint" ? new Uint8Array(2_000_000) : truth);
    expect(await follower.step()).toBe("refused");
    expect(await alarmCodes()).toEqual(["malformed-checkpoint ERR_NOTE_SIZE"]);
    log.lie = () => undefined;
    expect(await follower.step()).toBe("current");
  });

  it("keeps both notes of a fork that is hidden by not serving its tiles", async () => {
    const log = streamLog();
    const { follower, alarms, alarmCodes } = await followLog(log);
    await follower.step();
    const honest = log.entries;
    log.entries = [...honest.slice(0, 3), formatUtf8("another history"), ...honest.slice(3)];
    log.publish();
    log.lie = (path, truth) => (path.startsWith("tile/") ? 404 : truth);
    for (let i = 0; i < 5; i += 1)
      await expect(follower.step()).rejects.toMatchObject({ code: "ERR_LEDGER_UNREACHABLE" });
    expect(await alarmCodes()).toEqual(["withheld-tiles ERR_TILES_WITHHELD"]);
    expect((await alarms())[0]?.evidence[1]?.text).toBe(log.note);
    // The tiles come: what was hidden is proven.
    log.lie = () => undefined;
    expect(await follower.step()).toBe("forked");
  });

  it("takes an alarm about withheld tiles back when the checkpoint is shown to extend the last one", async () => {
    const log = streamLog();
    const { follower, alarms } = await followLog(log);
    await follower.step();
    log.append(formatUtf8("more")).publish();
    log.lie = (path, truth) => (path.startsWith("tile/") ? 404 : truth);
    for (let i = 0; i < 5; i += 1) await expect(follower.step()).rejects.toThrow();
    log.lie = () => undefined;
    expect(await follower.step()).toBe("current");
    expect((await alarms()).map(({ kind, resolved }) => [kind, resolved !== undefined])).toContainEqual([
      "withheld-tiles",
      true,
    ]);
  });

  it("notices a view that stands still, once, and only after it has had time to move", async () => {
    const log = streamLog();
    let now = 1_700_000_000_000 + 7_300_000;
    const { follower, alarmCodes, alarms } = await followLog(log, new MemoryRows(), {
      staleCheckpointSeconds: 7_200,
      nowMs: () => now,
    });
    await follower.step();
    expect(await alarmCodes()).toEqual([]);
    now += 60_000;
    await follower.step();
    await follower.step();
    expect(await alarmCodes()).toEqual(["stale-checkpoint ERR_CHECKPOINT_STALE"]);
    log.append(formatUtf8("more")).publish();
    await follower.step();
    expect((await alarms())[0]).toMatchObject({ count: 1, resolved: { note: "a newer checkpoint was published" } });
  });

  it("goes on behind an entry whose bytes are not those of the tree, and says which", async () => {
    const log = streamLog();
    log.lie = (path, truth) => {
      if (!path.startsWith("tile/entries/") || truth === undefined) return undefined;
      const copy = truth.slice();
      copy[copy.length - 2] = (copy.at(-2) ?? 0) ^ 1;
      return copy;
    };
    const { follower, book, alarms } = await followLog(log);
    expect(await follower.step()).toBe("current");
    expect(book.head.verified?.size).toBe(log.entries.length);
    expect(await receiptRows(book.rows)).toHaveLength(9);
    const last = log.entries.length - 1;
    expect(await alarms()).toMatchObject([{ kind: "entry-mismatch", code: "ERR_ROOT_MISMATCH", index: last }]);
  });

  /** Flips a byte in the middle of one entry wherever its bundle is served. */
  function lieAbout(log: AuditedLog, entry: Uint8Array): void {
    log.lie = (path, truth) => {
      if (!path.startsWith("tile/entries/") || truth === undefined) return undefined;
      const at = Buffer.from(truth).indexOf(Buffer.from(entry)) + Math.floor(entry.length / 2);
      return truth.with(at, (truth[at] ?? 0) ^ 1);
    };
  }

  it.each([
    ["the last receipt", 9],
    ["a receipt that its stream went on behind", 5],
  ])("fetches wrong bytes again, ever more rarely, and notes in the alarm that they came right: %s", async (_, seq) => {
    const log = streamLog();
    let now = 1_700_000_100_000;
    lieAbout(log, log.entries[2 + seq] ?? new Uint8Array(1));
    const { follower, book, alarms } = await followLog(log, undefined, { nowMs: () => now });
    const bundles = (): number => log.requests.filter((path) => path.startsWith("tile/entries/")).length;
    const stepAfter = async (ms: number): Promise<number> => {
      now += ms;
      const before = bundles();
      expect(await follower.step()).toBe("current");
      return bundles() - before;
    };
    expect(await stepAfter(0)).toBe(1);
    expect(await stepAfter(59_000)).toBe(0);
    expect(await stepAfter(1000)).toBe(1);
    expect(await stepAfter(60_000)).toBe(0);
    expect(await stepAfter(60_000)).toBe(1);
    const mismatch = async (): Promise<unknown> => (await alarms()).find(({ kind }) => kind === "entry-mismatch");
    expect(await mismatch()).toMatchObject({ index: 2 + seq, count: 3 });
    expect(await receiptRows(book.rows)).toHaveLength(9);
    log.lie = () => undefined;
    expect(await stepAfter(240_000)).toBe(1);
    const resolved = { note: "fetch 4 gave the bytes that are in the tree", time: formatTimestamp(now) };
    expect(await mismatch()).toMatchObject({ count: 3, resolved });
    const rows = await receiptRows(book.rows);
    expect(rows.map((row) => row.seq)).toEqual(Array.from({ length: 10 }, (_, i) => i));
    const pass = { verdict: "pass" };
    for (const { checks } of rows) expect(checks).toEqual({ inclusion: pass, signature: pass, continuity: pass });
    for (const alarm of await alarms()) {
      if (alarm.kind !== "seal-mismatch") expect(alarm.resolved).toBeDefined();
    }
    const [stream] = await book.rows.getMany([streamKey(rows[0]?.stream ?? "")]);
    expect(parseRow(stream ?? new Uint8Array(0), streamRowShape)).toMatchObject({ gaps: [], receipts: 10, faults: 0 });
    expect(await stepAfter(10 * 86_400_000)).toBe(0);
  });

  it.each([
    ["a hash tile with one bit changed", "tile/0/", (truth: Uint8Array) => truth.with(3, (truth[3] ?? 0) ^ 1)],
    ["a truncated hash tile", "tile/0/", (truth: Uint8Array) => truth.slice(0, -1)],
    ["a huge hash tile", "tile/0/", () => new Uint8Array(9000)],
    ["a truncated entry bundle", "tile/entries/", (truth: Uint8Array) => truth.slice(0, -1)],
    ["an entry bundle with a byte too many", "tile/entries/", (truth: Uint8Array) => concat(truth, Uint8Array.of(0))],
    ["a huge entry bundle", "tile/entries/", () => new Uint8Array(20_000_000)],
  ])("indexes nothing of %s, and recovers when the truth comes", async (_name, prefix, change) => {
    const log = streamLog();
    log.lie = (path, truth) => (path.startsWith(prefix) && truth !== undefined ? change(truth) : undefined);
    const { follower, book, alarms } = await followLog(log);
    expect(await follower.step()).toBe("refused");
    expect((await alarms()).map(({ kind }) => kind)).toEqual(["false-tile"]);
    expect(book.head.indexed).toBe(0);
    log.lie = () => undefined;
    expect(await follower.step()).toBe("current");
  });

  it("says unreachable, which is no alarm, for a ledger that is down or answers an error", async () => {
    const log = streamLog();
    const { follower, alarms } = await followLog(log);
    log.isUp = false;
    await expect(follower.step()).rejects.toMatchObject({ code: "ERR_LEDGER_UNREACHABLE" });
    log.isUp = true;
    for (const status of [500, 404, 301, 429]) {
      log.lie = () => status;
      await expect(follower.step()).rejects.toMatchObject({ code: "ERR_LEDGER_UNREACHABLE" });
    }
    expect(await alarms()).toEqual([]);
  });

  it("believes no clock of a witness that runs ahead, and keeps what it claims within bounds", async () => {
    const log = streamLog();
    const { follower, book, alarmCodes } = await followLog(log, undefined, { staleWitnessSeconds: 60 });
    const text = log.text(log.entries.length);
    const times = [1_700_000_000n, 1_700_000_001n, (1n << 63n) - 1n];
    const lines = witnesses.map(({ cosign }, i) => cosign(text, times[i] ?? 0n));
    log.note = formatNote(text, [logSigner.signLine(text), ...lines]);
    expect(await follower.step()).toBe("current");
    expect(book.head.verified?.cosignatures.map(({ seconds }) => seconds)).toEqual([
      1_700_000_000,
      1_700_000_001,
      Number.MAX_SAFE_INTEGER,
    ]);
    expect(await alarmCodes()).toEqual([]);
    expect(await (await followLog(log, book.rows)).follower.step()).toBe("current");
  });

  it("asks a ledger without news for its checkpoint alone", async () => {
    const log = streamLog();
    const { follower } = await followLog(log);
    await follower.step();
    log.requests.length = 0;
    await follower.step();
    expect(log.requests).toEqual(["checkpoint"]);
  });

  it("takes back a head that a stricter policy does not vouch for, until more witnesses have signed", async () => {
    const log = streamLog().publish(undefined, witnesses.slice(0, 2));
    const rows = new MemoryRows();
    await (await followLog(log, rows)).follower.step();
    const { follower, book } = await followLog(log, rows, { policy: policyText(3) });
    expect(book.head.verified?.size).toBe(log.entries.length);
    await follower.recheck();
    expect(book.head.verified).toBe(null);
    expect(await follower.step()).toBe("refused");
    log.publish();
    expect(await follower.step()).toBe("current");
    expect(book.head.verified?.cosignatures).toHaveLength(3);
  });

  it("finds the witness that fell behind the others", async () => {
    const log = streamLog();
    const { follower, alarmCodes } = await followLog(log, undefined, { staleWitnessSeconds: 60 });
    await follower.step();
    log.append(formatUtf8("x"));
    const text = log.text(log.entries.length);
    const late = witnesses.slice(0, 2).map(({ cosign }) => cosign(text, 1_700_000_061n));
    log.note = formatNote(text, [logSigner.signLine(text), ...late]);
    await follower.step();
    expect(await alarmCodes()).toEqual(["stale-witness ERR_WITNESS_STALE", "malformed-entry ERR_JSON_SYNTAX"]);
  });
});

describe("an auditor of streams", () => {
  /** Follows a log of these entries behind genesis and registration. */
  async function audit(entries: readonly Uint8Array[], isRegistered = true) {
    const registration = isRegistered ? [registrationEntry(keys)] : [];
    const log = new AuditedLog().append(...registration, ...entries).publish();
    const following = await followLog(log);
    expect(await following.follower.step()).toBe("current");
    const rows = await receiptRows(following.book.rows);
    return { ...following, rows };
  }

  it("finds a gap, names it, and checks what follows from there on", async () => {
    const { receipts } = makeStream({ keys });
    const { rows, alarmCodes, book } = await audit(bytesOf(receipts.filter(({ receipt }) => receipt.seq !== 4)));
    expect(await alarmCodes()).toContain("stream-break ERR_STREAM_GAP");
    const [stream] = await book.rows.getMany([`u\u0000${keys.instance.publicKey.kid}`]);
    expect(parseRow(stream ?? new Uint8Array(), streamRowShape)).toMatchObject({
      gaps: [{ from: 4, to: 4 }],
      faults: 1,
      receipts: 8,
    });
    const verdicts = rows.map(({ seq, checks }) => [seq, checks.continuity.verdict]);
    expect(verdicts.filter(([, verdict]) => verdict === "fail")).toEqual([[5, "fail"]]);
  });

  it("finds a stream that begins in its middle", async () => {
    const { receipts } = makeStream({ keys });
    const { alarmCodes } = await audit(bytesOf(receipts.slice(3)));
    expect((await alarmCodes())[0]).toBe("stream-break ERR_STREAM_GAP");
  });

  it("finds two receipts at one place of a stream, and keeps both", async () => {
    const { receipts } = makeStream({ keys, count: 4 });
    const { next } = makeStream({ keys, count: 4, startMs: STREAM_START_MS });
    const other = makeStream({ keys, count: 3 }).next({ kind: "heartbeat", open_sessions: 7, open_calls: 0 });
    expect(codeOf(() => next(receiptContents(keys).heartbeat))).toBe("accepted");
    const { alarms } = await audit([...bytesOf(receipts), other.bytes]);
    const [alarm] = await alarms();
    expect(alarm).toMatchObject({ kind: "stream-fork", code: "ERR_STREAM_FORK", seq: 3 });
    expect(alarm?.evidence.map(({ text }) => text)).toEqual(
      [receipts[3]?.bytes, other.bytes].map((bytes) => new TextDecoder().decode(bytes)),
    );
  });

  it("finds a receipt that the stream's key did not sign, and does not let it move the stream", async () => {
    const { receipts, next } = makeStream({ keys, count: 3 });
    const good = next(receiptContents(keys).heartbeat);
    const { signatures: _, ...body } = good.receipt;
    const forged = signReceipt({ ...body, open_sessions: 9 }, [gatewayKeys(90).receipt]);
    const text = new TextDecoder().decode(good.bytes).replace('"open_sessions":1', '"open_sessions":2');
    const { rows, alarmCodes } = await audit([...bytesOf(receipts), forged.bytes, formatUtf8(text), good.bytes]);
    expect(await alarmCodes()).toEqual(["false-signature ERR_STREAM_KEY", "false-signature ERR_SIGNATURE_INVALID"]);
    const last = rows.slice(-3).map(({ checks }) => [checks.signature.verdict, checks.continuity.verdict]);
    expect(last).toEqual([
      ["fail", "not_established"],
      ["fail", "not_established"],
      ["pass", "pass"],
    ]);
  });

  it("finds receipts of a stream that is not registered, and a second registration with another key", async () => {
    const { receipts } = makeStream({ keys, count: 3 });
    const unregistered = await audit(bytesOf(receipts), false);
    expect(await unregistered.alarmCodes()).toEqual(["unregistered-stream ERR_STREAM_UNKNOWN"]);
    const other = { instance: keys.instance, receipt: gatewayKeys(90).receipt };
    const twice = await audit([registrationEntry(other), ...bytesOf(receipts)]);
    expect(await twice.alarmCodes()).toEqual(["stream-break ERR_REGISTRATION_CONFLICT"]);
  });

  it("counts the calls of a session itself, and finds a seal that counts others", async () => {
    const { receipts, next } = makeStream({ keys, count: 8 });
    const seal = next({
      ...receiptContents(keys)["session-seal"],
      calls: { total: 3, allowed: 3, denied: 0, faulted: 0, open: 0 },
    });
    const { alarmCodes } = await audit([...bytesOf(receipts), seal.bytes]);
    expect(await alarmCodes()).toEqual(["seal-mismatch ERR_SESSION_COUNTS"]);
  });

  it("finds a session that is opened twice", async () => {
    const { receipts, next } = makeStream({ keys, count: 8 });
    const again = next(receiptContents(keys)["session-open"]);
    const { alarms } = await audit([...bytesOf(receipts), again.bytes]);
    expect((await alarms()).map(({ kind, code, index }) => [kind, code, index])).toEqual([
      ["session-repeat", "ERR_SESSION_PLACE", 10],
    ]);
  });

  it("goes on behind entries that nobody can read", async () => {
    const { receipts } = makeStream({ keys });
    const garbage = [Uint8Array.of(0xff, 0xfe), formatUtf8('{"kind":"decision"}'), formatUtf8("")];
    const { rows, alarms } = await audit([...garbage, ...bytesOf(receipts)]);
    expect((await alarms()).map(({ kind, index }) => [kind, index])).toEqual([
      ["malformed-entry", 2],
      ["malformed-entry", 3],
      ["malformed-entry", 4],
    ]);
    expect(rows).toHaveLength(receipts.length);
    expect(formatTimestamp(STREAM_START_MS)).toBe(rows[0]?.time);
  });
});
