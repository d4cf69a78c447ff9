import { mkdtempSync, rmSync } from "node:fs";
import { cp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { type Recovery, recoverWitness } from "../../witness/recover.ts";
import { makeCosigners } from "../../witness/signing.ts";
import { type RunningWitness, startWitness } from "../../witness/start.ts";
import { makeMemoryFence, makeMemoryStateFiles } from "../support/memory-state-files.ts";
import { COSIGNERS, listed, openMemoryWitness } from "../support/memory-witness.ts";
import { oldStateFile } from "../support/old-witness-state.ts";
import { makeSmallLog } from "../support/small-log.ts";

const log = makeSmallLog("log.example/a", 1, 40);
const other = makeSmallLog("log.example/b", 2, 40);
const logs = [listed(log), listed(other)];
const [ed25519] = COSIGNERS;

describe("a witness whose state is an older copy", () => {
  it("refuses every log once it sees its own line above the recorded size, also after a restart", async () => {
    const files = makeMemoryStateFiles();
    const witness = await openMemoryWitness(files, logs);
    await witness.grow(log, 0, 5);
    await witness.grow(other, 0, 5);
    await witness.book.close();
    const copy = new Map(files.files);
    const newest = log.checkpoint(20) + (await witness.grow(log, 5, 20)).body;
    const old = makeMemoryStateFiles();
    for (const [name, content] of copy) old.files.set(name, content);
    let restored = await openMemoryWitness(old, logs);
    expect((await restored.grow(log, 5, 20, newest)).code).toBe("ERR_WITNESS_ROLLBACK");
    expect((await restored.grow(other, 5, 9)).code).toBe("ERR_WITNESS_ROLLBACK");
    restored = await openMemoryWitness(old, logs);
    expect((await restored.grow(log, 5, 6)).status).toBe(503);
    expect(restored.book.isSuspended).toBe(true);
  });

  it("also sees another tree of the recorded size, and does not mind its own older lines", async () => {
    const fork = makeSmallLog("log.example/a", 1, 40, (i) => `forked ${i}`);
    const note = fork.checkpoint(5);
    const signed = note + (ed25519?.cosign(note.slice(0, note.indexOf("\n\n") + 1), 1n) ?? "");
    const witness = await openMemoryWitness(makeMemoryStateFiles(), logs);
    const older = log.checkpoint(5) + (await witness.grow(log, 0, 5)).body;
    await witness.grow(log, 5, 9);
    expect((await witness.grow(log, 5, 5, older)).status).toBe(409);
    const another = await openMemoryWitness(makeMemoryStateFiles(), logs);
    await another.grow(log, 0, 5);
    expect((await another.grow(log, 5, 5, signed)).code).toBe("ERR_WITNESS_ROLLBACK");
  });

  it("is not moved by a false line under its name", async () => {
    const witness = await openMemoryWitness(makeMemoryStateFiles(), logs);
    const note = log.checkpoint(5);
    const wrong = ed25519?.cosign(`${log.origin}\n6\n`, 1n) ?? "";
    expect((await witness.grow(log, 0, 5, note + wrong)).status).toBe(200);
  });

  it("does not open behind its fence, beside another copy's, or without it", async () => {
    const [files, fence] = [makeMemoryStateFiles(), makeMemoryFence()];
    const witness = await openMemoryWitness(files, logs, { fence });
    await witness.grow(log, 0, 5);
    await witness.book.close();
    const copy = new Map(files.files);
    await witness.grow(log, 5, 20);
    await witness.book.close();
    const old = makeMemoryStateFiles();
    for (const [name, content] of copy) old.files.set(name, content);
    await expect(openMemoryWitness(old, logs, { fence })).rejects.toMatchObject({
      code: "ERR_WITNESS_ROLLBACK",
      fatal: true,
    });
    // The copy goes on by itself, further than the fence.
    const alone = await openMemoryWitness(old, logs);
    for (const [from, to] of [
      [5, 6],
      [6, 7],
      [7, 8],
    ] as const)
      await alone.grow(log, from, to);
    await alone.book.close();
    await expect(openMemoryWitness(old, logs, { fence })).rejects.toMatchObject({ code: "ERR_WITNESS_ROLLBACK" });
    await expect(openMemoryWitness(files, logs, { fence: makeMemoryFence() })).rejects.toMatchObject({
      code: "ERR_WITNESS_ROLLBACK",
    });
    expect((await openMemoryWitness(files, logs, { fence })).book.state(log.origin).head.size).toBe(20n);
  });

  it("opens after a crash between journal and fence, and with one torn slot", async () => {
    const [files, fence] = [makeMemoryStateFiles(), makeMemoryFence()];
    const witness = await openMemoryWitness(files, logs, { fence });
    await witness.grow(log, 0, 5);
    await witness.grow(log, 5, 9);
    const before = fence.bytes;
    await witness.grow(log, 9, 20);
    await witness.book.close();
    const after = fence.bytes;
    fence.bytes = before;
    expect((await openMemoryWitness(files, logs, { fence })).book.state(log.origin).head.size).toBe(20n);
    for (const slot of [0, 4096]) {
      const torn = after?.slice() ?? new Uint8Array(0);
      torn.fill(0, slot + 10, slot + 60);
      fence.bytes = torn;
      expect((await openMemoryWitness(files, logs, { fence })).book.state(log.origin).head.size).toBe(20n);
    }
    fence.bytes = new Uint8Array(8192);
    await expect(openMemoryWitness(files, logs, { fence })).rejects.toMatchObject({ code: "ERR_WITNESS_STATE" });
    // As its very first write may leave it: no fence of this state, which has more than that.
    fence.bytes = new Uint8Array(100);
    await expect(openMemoryWitness(files, logs, { fence })).rejects.toMatchObject({ code: "ERR_WITNESS_ROLLBACK" });
  });
});

describe("an operator's recovery", () => {
  const keys = [makeSignerKey("witness.example/w", 0x04, new Uint8Array(32).fill(9))];
  const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
  let root: string;
  let dataDir: string;
  let fenceFile: string;

  const start = (): Promise<RunningWitness> => {
    const config = { listen: { port: 0 }, data_dir: dataDir, fence_file: fenceFile, key_files: [], logs };
    return startWitness({ config, keys, logger });
  };
  const post = async (service: RunningWitness, body: string): Promise<readonly [number, string]> => {
    const answer = await fetch(`${service.url}/add-checkpoint`, { method: "POST", body });
    return [answer.status, await answer.text()];
  };
  const recover = (recovery: Partial<Recovery>): Promise<unknown> =>
    recoverWitness({
      dataDir,
      fenceFile,
      logs,
      cosigners: makeCosigners(keys),
      recovery: { checkpoints: [], accept: [], reason: "restored from the copy of Monday", ...recovery },
    });

  /** A witness at 20 and 5, whose folder is put back to 5 and 5. Resolves to the newest checkpoint of the first log. */
  async function restoreOldCopy(): Promise<string> {
    const service = await start();
    await post(service, formatAddCheckpoint(0n, [], log.checkpoint(5)));
    await post(service, formatAddCheckpoint(0n, [], other.checkpoint(5)));
    await service.close();
    await cp(dataDir, `${dataDir}-copy`, { recursive: true });
    const again = await start();
    const [, lines] = await post(again, formatAddCheckpoint(5n, await log.consistency(5, 20), log.checkpoint(20)));
    await again.close();
    await rm(dataDir, { recursive: true });
    await cp(`${dataDir}-copy`, dataDir, { recursive: true });
    return log.checkpoint(20) + lines;
  }

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "countersign-witness-"));
    [dataDir, fenceFile] = [join(root, "data"), join(root, "fence")];
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it("takes the newest cosigned checkpoint as the state, and leaves the other logs refused", async () => {
    const newest = await restoreOldCopy();
    await expect(start()).rejects.toMatchObject({ code: "ERR_WITNESS_ROLLBACK" });
    expect(await recover({ checkpoints: [newest] })).toMatchObject({ adopted: [{ size: 20n }], isCleared: false });
    const service = await start();
    expect(await post(service, formatAddCheckpoint(5n, [], log.checkpoint(5)))).toEqual([409, "20\n"]);
    expect((await post(service, formatAddCheckpoint(5n, [], other.checkpoint(5))))[0]).toBe(503);
    expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
    await service.close();
    await recover({ accept: [other.origin] });
    const last = await start();
    expect((await post(last, formatAddCheckpoint(5n, [], other.checkpoint(5))))[0]).toBe(200);
    await last.close();
  });

  it("is told so of a state of version 0.1.0 that went on beside the journal, until an operator decides", async () => {
    await (await start()).close();
    const [name, content] = oldStateFile(log.origin, log.checkpoint(5));
    await writeFile(join(dataDir, name), content);
    await expect(start()).rejects.toMatchObject({ code: "ERR_WITNESS_ROLLBACK" });
    expect(await recover({ accept: "all" })).toMatchObject({ isCleared: true });
    expect(await readdir(dataDir)).not.toContain(name);
    await (await start()).close();
  });

  it("accepts all only when the operator says so", async () => {
    await restoreOldCopy();
    expect(await recover({})).toMatchObject({ isCleared: false });
    expect(await recover({ accept: "all" })).toMatchObject({ isCleared: true });
    const service = await start();
    expect((await post(service, formatAddCheckpoint(5n, [], log.checkpoint(5))))[0]).toBe(200);
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
    await service.close();
  });

  it("refuses checkpoints that the witness did not sign, that are older, or of a log that is not listed", async () => {
    const newest = await restoreOldCopy();
    const code = (recovery: Partial<Recovery>, expected: string): Promise<void> =>
      expect(recover(recovery)).rejects.toMatchObject({ code: expected });
    await code({ checkpoints: [log.checkpoint(20)] }, "ERR_WITNESS_COSIGNATURE");
    await code({ checkpoints: [newest.replace("\n20\n", "\n21\n")] }, "ERR_NOTE_SIGNATURE");
    await code({ accept: ["log.example/none"] }, "ERR_CONFIG");
    await code({ accept: "all", reason: " " }, "ERR_CONFIG");
    await recover({ checkpoints: [newest] });
    const text = log.checkpoint(5);
    const older = text + (ed25519?.cosign(text.slice(0, text.indexOf("\n\n") + 1), 1n) ?? "");
    await code({ checkpoints: [older] }, "ERR_SIZE_RANGE");
  });
});
