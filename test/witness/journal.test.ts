import { beforeEach, describe, expect, it } from "vitest";
import { sha256 } from "#crypto";
import { concat, formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { JOURNAL_NAME, Journal } from "../../witness/journal.ts";
import { formatFrame, JOURNAL_START, scanJournal } from "../../witness/journal-frame.ts";
import { originHash, readJournal } from "../../witness/state-book.ts";
import { codeOf } from "../support/code-of.ts";
import { type MemoryStateFiles, makeMemoryStateFiles } from "../support/memory-state-files.ts";
import { listed, type MemoryWitness, openMemoryWitness } from "../support/memory-witness.ts";
import { makeSmallLog } from "../support/small-log.ts";

const log = makeSmallLog("log.example/a", 1, 40);
const others = Array.from({ length: 50 }, (_, i) => makeSmallLog(`log.example/${i}`, 100 + i, 3));
const logs = [log, ...others].map(listed);
let files: MemoryStateFiles;

const open = (): Promise<MemoryWitness> => openMemoryWitness(files, logs, { cosigners: [] });
const bytes = (): Uint8Array => files.files.get(JOURNAL_NAME) ?? new Uint8Array(0);

beforeEach(() => {
  files = makeMemoryStateFiles();
});

describe("the journal of a witness", () => {
  it("refuses to open when any one byte in front of the last seal is changed, and keeps the state when one of it is", async () => {
    const witness = await open();
    for (const [from, to] of [
      [0, 5],
      [5, 20],
    ] as const)
      await witness.grow(log, from, to);
    await witness.book.close();
    const whole = bytes();
    const seal = whole.length - 80;
    for (let i = 0; i < whole.length; i += 1) {
      const copy = whole.slice();
      copy[i] = (copy[i] ?? 0) ^ 1;
      files.files.set(JOURNAL_NAME, copy);
      if (i < seal) await expect(open(), String(i)).rejects.toMatchObject({ code: "ERR_WITNESS_STATE", fatal: true });
      else expect((await open()).book.state(log.origin).head.size).toBe(20n);
    }
  });

  it("takes a torn end for what was never answered, and goes on behind it", async () => {
    const witness = await open();
    await witness.grow(log, 0, 5);
    files.fault = "torn";
    expect((await witness.grow(log, 5, 20)).status).toBe(500);
    const again = await open();
    expect(again.book.state(log.origin).head.size).toBe(5n);
    expect((await again.grow(log, 5, 20)).status).toBe(200);
    await again.book.close();
    expect((await open()).book.state(log.origin).head.size).toBe(20n);
  });

  it("is damaged when its first frame is not whole, or two frames do not follow", () => {
    const first = formatFrame(JOURNAL_START, [{ kind: "suspended", text: "a" }]);
    const second = formatFrame(first.position, [{ kind: "cleared", text: "b" }]);
    const stray = formatFrame({ seq: 7n, hash: first.position.hash }, []);
    expect(scanJournal(concat(first.bytes, second.bytes)).frames).toHaveLength(2);
    expect(codeOf(() => scanJournal(first.bytes.slice(0, -1)))).toBe("ERR_WITNESS_STATE");
    expect(codeOf(() => scanJournal(concat(first.bytes, stray.bytes)))).toBe("ERR_WITNESS_STATE");
    expect(codeOf(() => scanJournal(concat(first.bytes, second.bytes.slice(9), second.bytes)))).toBe(
      "ERR_WITNESS_STATE",
    );
    for (let cut = 0; cut < second.bytes.length; cut += 1) {
      expect(scanJournal(concat(first.bytes, second.bytes.slice(0, cut))).end).toBe(first.bytes.length);
    }
  });

  it("shares one sync between the logs that come while another is under way", async () => {
    const witness = await open();
    const before = files.syncs;
    const answers = await Promise.all(others.map((each) => witness.grow(each, 0, 3)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(files.syncs - before).toBeLessThanOrEqual(3);
  });

  it("loses nothing over many rewrites", async () => {
    const found = await readJournal(files);
    const note = (i: number): string => log.checkpoint(i % 41);
    let newest = "";
    const live = (): readonly { readonly kind: "cosigned"; readonly text: string }[] =>
      newest === "" ? [] : [{ kind: "cosigned", text: newest }];
    const journal = new Journal({ files, live, rewriteBytes: 2000 }, found.position, found.length);
    for (let i = 1; i <= 200; i += 1) {
      await journal.append({ kind: "cosigned", text: note(i) });
      newest = note(i);
      expect(bytes().length).toBeLessThan(12_000);
    }
    await journal.close();
    const { facts, position } = await readJournal(files);
    expect(facts.states.get(log.origin)?.note).toBe(note(200));
    expect(position.seq).toBeGreaterThan(200n);
  });

  it("takes over the files of version 0.1.0 once, and refuses damaged ones", async () => {
    const name = `${originHash(log.origin)}.state`;
    const body = log.checkpoint(20);
    const digest = formatHex(sha256(formatUtf8(body)));
    files.files.set(name, formatUtf8(`countersign-witness-state/v1 ${digest}\n${body}`));
    expect((await open()).book.state(log.origin).head.size).toBe(20n);
    expect([...files.files.keys()]).toEqual([JOURNAL_NAME]);
    files = makeMemoryStateFiles();
    files.files.set(name, formatUtf8(`countersign-witness-state/v1 ${digest}\n${body}x`));
    await expect(open()).rejects.toMatchObject({ code: "ERR_WITNESS_STATE" });
  });
});
