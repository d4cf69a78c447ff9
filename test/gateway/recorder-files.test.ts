import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openFrameLog } from "../../gateway/receipts/frame-log.ts";
import { openStreamFolder } from "../../gateway/receipts/stream-folder.ts";
import { openVault } from "../../gateway/receipts/vault.ts";
import { concat, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { until } from "../support/command.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "countersign-gateway-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function contentOf(path: string): Promise<readonly string[]> {
  const { log, payloads } = await openFrameLog(path, { isDurable: true, writesOn: "pool" });
  await log.close();
  return payloads.map(parseUtf8);
}

async function written(path: string, texts: readonly string[]): Promise<Uint8Array> {
  const { log } = await openFrameLog(path, { isDurable: true, writesOn: "pool" });
  for (const text of texts) await log.append([formatUtf8(text)]);
  await log.close();
  return new Uint8Array(readFileSync(path));
}

describe("the file of a stream", () => {
  it("gives back what was appended, one by one or thousands at once", async () => {
    const path = join(folder, "a");
    const { log } = await openFrameLog(path, { isDurable: true, writesOn: "pool" });
    await log.append([formatUtf8("one")]);
    await log.append(Array.from({ length: 3_000 }, (_, i) => formatUtf8(`frame ${i}`)));
    await log.close();
    const content = await contentOf(path);
    expect(content.length).toBe(3_001);
    expect([content[0], content[1], content[3_000]]).toEqual(["one", "frame 0", "frame 2999"]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("has zeros ahead while it is open, which no reader takes for frames and a kill may leave", async () => {
    const path = join(folder, "a");
    const { log } = await openFrameLog(path, { isDurable: true, writesOn: "pool" });
    await log.append([formatUtf8("first")]);
    await until("zeros are ahead", async () => statSync(path).size > 1_000_000);
    await log.append([formatUtf8("second")]);
    const killed = join(folder, "killed");
    copyFileSync(path, killed);
    expect(await contentOf(killed)).toEqual(["first", "second"]);
    expect(statSync(killed).size).toBe(13 + 14);
    await log.close();
    expect(statSync(path).size).toBe(13 + 14);
    expect(await contentOf(path)).toEqual(["first", "second"]);
  });

  it("writes the last append once more when it is opened: a sync that failed leaves it where it is read and not on the disk", async () => {
    const path = join(folder, "a");
    const { log } = await openFrameLog(path, { isDurable: true, writesOn: "pool" });
    await log.append([formatUtf8("first")]);
    await log.append([formatUtf8("second"), formatUtf8("third")]);
    await log.close();
    const handle = await open(path, "r");
    const files: FileHandle = Object.getPrototypeOf(handle);
    await handle.close();
    const steps: string[] = [];
    const write = vi.spyOn(files, "write");
    const sync = vi.spyOn(files, "sync").mockImplementation(async function (this: FileHandle) {
      steps.push(`sync behind ${write.mock.calls.length} writes`);
      return this.datasync();
    });
    try {
      expect(await contentOf(path)).toEqual(["first", "second", "third"]);
      const [bytes, offset, length, at]: readonly unknown[] = write.mock.calls[0] ?? [];
      expect([offset, length, at]).toEqual([0, 14 + 13, 13]);
      expect(bytes).toEqual(new Uint8Array(readFileSync(path)).subarray(13));
      expect(steps[0]).toBe("sync behind 1 writes");
    } finally {
      write.mockRestore();
      sync.mockRestore();
    }
  });

  it("keeps every frame of appends that are longer than the zeros ahead, or come while these are written", async () => {
    const path = join(folder, "a");
    const { log } = await openFrameLog(path, { isDurable: true, writesOn: "pool" });
    const texts = Array.from({ length: 200 }, (_, i) => String(i).padStart(60_000, "x"));
    for (let at = 0; at < texts.length; at += 20) {
      await log.append(texts.slice(at, at + 19).map(formatUtf8));
      await log.append([formatUtf8(texts[at + 19] ?? "")]);
    }
    await log.finish();
    expect(statSync(path).size).toBe(200 * 60_008);
    await log.close();
    expect(await contentOf(path)).toEqual(texts);
  });

  it("cut anywhere, holds the whole frames before the cut, and goes on from there", async () => {
    const path = join(folder, "a");
    const whole = await written(path, ["first", "second", "third"]);
    const starts = [0, 13, 27, whole.length];
    for (let cut = 0; cut <= whole.length; cut += 1) {
      writeFileSync(path, whole.subarray(0, cut));
      const kept = starts.filter((start) => start > 0 && start <= cut).length;
      expect(await contentOf(path)).toEqual(["first", "second", "third"].slice(0, kept));
      expect(statSync(path).size).toBe(starts[kept]);
    }
    await written(path, ["fourth"]);
    expect(await contentOf(path)).toEqual(["first", "second", "third", "fourth"]);
  });

  it("with a flipped bit in front of the last frame is refused, and in the last frame it is a torn write", async () => {
    const path = join(folder, "a");
    const whole = await written(path, ["first", "second"]);
    for (let at = 0; at < whole.length; at += 1) {
      const changed = Uint8Array.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(path, changed);
      const outcome = await contentOf(path).catch((error: { code: string }) => error.code);
      // A length that was changed can reach to the end of the file, where it looks like a torn write.
      const allowed =
        at < 4 ? [["first"], [], "ERR_STREAM_FILE"] : at < 13 ? ["ERR_STREAM_FILE"] : [["first"], "ERR_STREAM_FILE"];
      expect(allowed).toContainEqual(outcome);
    }
  });

  it("with zeros behind the last frame, as a file system leaves them after a crash, loses only the zeros", async () => {
    const path = join(folder, "a");
    const whole = await written(path, ["first", "second"]);
    for (const zeros of [1, 7, 8, 9, 16, 4_096]) {
      writeFileSync(path, concat(whole, new Uint8Array(zeros)));
      expect(await contentOf(path)).toEqual(["first", "second"]);
      expect(statSync(path).size).toBe(whole.length);
    }
  });
});

describe("the vault", () => {
  let made = 0;
  const randomBytes = (length: number): Uint8Array => {
    made += 1;
    return new Uint8Array(length).map((_, i) => (i * 7 + made * 31 + (i >> 5)) & 0xff);
  };

  it("gives one secret a receipt, durable before it is used, and the same one after a restart", async () => {
    const vault = openVault(folder, randomBytes);
    await vault.prepare(0);
    const secrets = [0, 1, 2, 4_095].map(vault.secret);
    expect(new Set(secrets.map((secret) => Buffer.from(secret).toString("hex"))).size).toBe(4);
    const content = readFileSync(join(folder, "00000000"));
    for (const [i, seq] of [0, 1, 2, 4_095].entries()) {
      expect(content.subarray(32 * seq, 32 * (seq + 1)).equals(Buffer.from(secrets[i] ?? []))).toBe(true);
    }
    expect(statSync(join(folder, "00000000")).mode & 0o777).toBe(0o600);
    const again = openVault(folder, randomBytes);
    await again.prepare(2);
    expect(again.secret(2)).toEqual(secrets[2]);
  });

  it("has no secret for a receipt that was not prepared", async () => {
    const vault = openVault(folder, randomBytes);
    expect(() => vault.secret(0)).toThrow(expect.objectContaining({ code: "ERR_STREAM_FAILED" }));
    await vault.prepare(0);
    expect(() => vault.secret(4_096)).toThrow(expect.objectContaining({ code: "ERR_STREAM_FAILED" }));
  });

  it("never takes zeros for a secret: they are an erased one, or what a crash left", async () => {
    writeFileSync(join(folder, "00000000"), new Uint8Array(4_096 * 32));
    const vault = openVault(folder, randomBytes);
    await vault.prepare(0);
    expect(() => vault.secret(5)).toThrow(expect.objectContaining({ code: "ERR_STREAM_FAILED" }));
  });

  it("refuses a damaged block instead of replacing secrets that receipts may have used", async () => {
    writeFileSync(join(folder, "00000000"), new Uint8Array(100).fill(1));
    await expect(openVault(folder, randomBytes).prepare(0)).rejects.toMatchObject({ code: "ERR_STREAM_FILE" });
  });

  it("does not keep a receipt waiting for the block after its own, and makes it in time", async () => {
    const vault = openVault(folder, randomBytes);
    await vault.prepare(2_048);
    await vault.prepare(4_096);
    expect(vault.secret(4_096)).not.toEqual(vault.secret(0));
  });
});

describe("the data folder", () => {
  const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));

  it("keeps keys with mode 0600, and the stream is named by its instance key", async () => {
    const data = await openStreamFolder(folder, randomBytes);
    expect(await data.current()).toBeUndefined();
    const place = await data.create();
    expect(place.instanceSigner.publicKey.kid).toBe(place.stream);
    expect(place.receiptSigner.publicKey.kid).not.toBe(place.stream);
    for (const name of ["instance.key", "receipt.key"]) {
      expect(statSync(join(folder, "streams", place.stream, name)).mode & 0o777).toBe(0o600);
    }
    expect(await data.current()).toBeUndefined();
    await data.setCurrent(place.stream);
    const callerKey = await data.callerKey();
    await data.release();

    const again = await openStreamFolder(folder, randomBytes);
    expect((await again.current())?.stream).toBe(place.stream);
    expect(await again.callerKey()).toEqual(callerKey);
    await again.release();
  });

  it("belongs to one process", async () => {
    const data = await openStreamFolder(folder, randomBytes);
    await expect(openStreamFolder(folder, randomBytes)).rejects.toMatchObject({ code: "ERR_FOLDER_LOCKED" });
    await data.release();
  });

  it("with another key under the stream's name is refused", async () => {
    const data = await openStreamFolder(folder, randomBytes);
    const [a, b] = [await data.create(), await data.create()];
    const keyOf = (stream: string): string => join(folder, "streams", stream, "instance.key");
    writeFileSync(keyOf(a.stream), readFileSync(keyOf(b.stream)));
    await data.setCurrent(a.stream);
    await expect(data.current()).rejects.toMatchObject({ code: "ERR_STREAM_FILE" });
    await data.release();
  });
});
