import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readJsonFile, readLine, readNoteKey, readText, readToken, writeNewFile } from "../../cli/files.ts";
import { codeOf } from "../support/code-of.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a file that the command writes", () => {
  it("is whole when every write takes only three bytes", () => {
    const path = join(folder, "short");
    const text = "a secret, and an ä that spans two writes";
    writeNewFile(path, text, 0o600, (file, bytes, offset) =>
      writeSync(file, bytes, offset, Math.min(3, bytes.length - offset)),
    );
    expect(readFileSync(path, "utf8")).toBe(text);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("is made with the folders above it, and never replaced", () => {
    const path = join(folder, "a/b/c");
    writeNewFile(path, "first", 0o644);
    expect(codeOf(() => writeNewFile(path, "second", 0o644))).toBe("ERR_FILE_WRITE");
    expect(readFileSync(path, "utf8")).toBe("first");
  });

  it("is not left half written by a fault, so that the next attempt is free", () => {
    const path = join(folder, "half");
    let calls = 0;
    const full = (file: number, bytes: Uint8Array, offset: number): number => {
      calls += 1;
      return calls === 1 ? writeSync(file, bytes, offset, 2) : 0;
    };
    expect(codeOf(() => writeNewFile(path, "content", 0o600, full))).toBe("ERR_FILE_WRITE");
    writeNewFile(path, "content", 0o600);
    expect(readFileSync(path, "utf8")).toBe("content");
  });
});

describe("a file that cannot be read", () => {
  const nowhere = join(folder, "nowhere");

  it("is named once, with the reason", () => {
    for (const read of [readText, readLine, (path: string) => readJsonFile(path, (value) => value)]) {
      expect(codeOf(() => read(nowhere))).toBe("ERR_FILE_READ");
      expect(() => read(nowhere)).toThrow(
        expect.objectContaining({ message: `cannot read ${nowhere}: ENOENT: no such file or directory` }),
      );
    }
  });

  it("as text has a code, whatever its bytes are", () => {
    const path = join(folder, "bytes");
    writeFileSync(path, Uint8Array.of(0xff, 0xfe, 0x00));
    for (const read of [readText, readLine, readToken, readNoteKey]) expect(codeOf(() => read(path))).toBe("ERR_UTF8");
  });
});
