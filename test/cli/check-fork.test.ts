import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { runCommand } from "../../cli/run.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";
import { recordIo } from "../support/recorded-io.ts";
import { makeSmallLog } from "../support/small-log.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-fork-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const block = fencedBlocks("docs/formats/fork-evidence.md");
const vkey = formatVerifierKey(makeSmallLog("log.example/test", 1, 1).key);

async function check(text: string, ...args: readonly string[]): Promise<{ code: number; out: string }> {
  const file = join(folder, "evidence");
  writeFileSync(file, text);
  const { io, out } = recordIo();
  const code = await runCommand(["check-fork", file, ...args], io);
  return { code, out: out() };
}

describe("countersign check-fork", () => {
  it("exits 0 for evidence that proves forks, one document a line", async () => {
    const both = await check(`${block("log-fork")}\n${block("stream-fork")}\n`, "--key", vkey);
    expect(both.code).toBe(0);
    expect(both.out.split("\n").filter((line) => line.startsWith("proven:"))).toHaveLength(2);
  });

  it("takes the log's keys from a witness policy", async () => {
    const policy = join(folder, "policy");
    writeFileSync(policy, `log ${vkey}\nquorum none\n`);
    expect((await check(block("log-fork"), "--policy", policy)).code).toBe(0);
  });

  it("exits 1 when a document proves nothing: another key, a changed byte, no evidence", async () => {
    const stranger = formatVerifierKey(makeSmallLog("log.example/test", 2, 1).key);
    expect((await check(block("log-fork"), "--key", stranger)).code).toBe(1);
    expect((await check(block("stream-fork").replace('"seq":3', '"seq":4'))).code).toBe(1);
    expect((await check(`${block("stream-fork")}\n{}\n`)).code).toBe(1);
    expect((await check("")).code).toBe(1);
  });

  it("exits 3 without a file", async () => {
    expect(await runCommand(["check-fork"], recordIo().io)).toBe(3);
  });
});
