import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { writeOnce } from "../../ledger/storage/durable-file.ts";
import { writeNewFiles } from "../../ledger/storage/new-files.ts";
import { makeNodeDisk } from "../../ledger/storage/node-disk.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "countersign-files-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const files = [
  { path: "a/one", bytes: formatUtf8("first") },
  { path: "a/two", bytes: new Uint8Array(0) },
  { path: "b/three", bytes: new Uint8Array(100_000).fill(7) },
];

describe("new files written together", () => {
  it("are whole under their names, over what a crash left of them, with nothing beside", async () => {
    const groups: number[] = [];
    const disk = makeNodeDisk(folder, async (group) => {
      groups.push(group.length);
      writeNewFiles(group);
    });
    await disk.makeFolder("a");
    await writeFile(join(folder, "a/one.tmp"), "what a crash left, longer than the file");
    await writeOnce(disk, files);
    for (const { path, bytes } of files) expect(new Uint8Array(await readFile(join(folder, path)))).toEqual(bytes);
    expect([await readdir(join(folder, "a")), await readdir(join(folder, "b"))]).toEqual([["one", "two"], ["three"]]);
    await writeOnce(disk, [...files, { path: "a/four", bytes: formatUtf8("4") }]);
    expect(groups).toEqual([3, 1]);
  });

  it("are not written over others, and fail as a whole where a folder is missing", async () => {
    const disk = makeNodeDisk(folder, async (group) => writeNewFiles(group));
    await writeOnce(disk, files);
    const other = [{ path: "a/one", bytes: formatUtf8("other") }];
    await expect(writeOnce(disk, other)).rejects.toMatchObject({ code: "ERR_STORE_CONFLICT" });
    expect(await readFile(join(folder, "a/one"), "utf8")).toBe("first");
    expect(() => writeNewFiles([{ path: join(folder, "none/file"), bytes: formatUtf8("x") }])).toThrow("ENOENT");
  });
});

describe("a file whose length is known", () => {
  it("is read where it has that length, and left to the other way where it has not or is missing", async () => {
    const disk = makeNodeDisk(folder);
    await writeFile(join(folder, "tile"), new Uint8Array(64).fill(5));
    expect(await disk.readKnown?.("tile", 64)).toEqual(new Uint8Array(64).fill(5));
    for (const length of [0, 63, 65]) expect(await disk.readKnown?.("tile", length)).toBeUndefined();
    expect(await disk.readKnown?.("none", 64)).toBeUndefined();
    await expect(disk.readKnown?.(".", 64)).rejects.toMatchObject({ code: "EISDIR" });
  });
});
