import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openLevelRows } from "../../api/index/level-rows.ts";
import { Draft, type RowStore } from "../../api/index/rows.ts";
import { integer, object } from "../../kernel/shape.ts";
import { MemoryRows } from "../support/memory-rows.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-rows-"));
const shape = object<{ readonly n: number }>({ n: integer() });
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function keysOf(store: RowStore, range: Parameters<RowStore["range"]>[0]): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.range(range)) keys.push(key);
  return keys;
}

describe.each([
  ["level", () => openLevelRows(join(folder, "rows"))],
  ["memory", async () => new MemoryRows()],
])("rows in %s", (_name, open) => {
  it("keep order, ends and limits of ranges, remove, and show a draft its own writes", async () => {
    const store = await open();
    await store.write(["a", "b", "c", "d"].map((key) => ({ key, value: bytes(key) })));
    expect(await keysOf(store, { after: "a", before: "d" })).toEqual(["b", "c"]);
    expect(await keysOf(store, { after: "", before: "z", reverse: true, limit: 2 })).toEqual(["d", "c"]);
    expect(await store.getMany(["c", "x", "a"])).toEqual([bytes("c"), undefined, bytes("a")]);
    const draft = new Draft(store);
    draft.putJson("j", { n: 7 });
    draft.remove("a");
    expect(await draft.read("j", shape)).toEqual({ n: 7 });
    expect(await draft.get("a")).toBe(undefined);
    expect(await store.getMany(["j", "a"])).toEqual([undefined, bytes("a")]);
    await draft.commit();
    expect(await store.getMany(["j", "a"])).toEqual([bytes('{"n":7}'), undefined]);
    await store.close();
  });
});

describe("rows on disk", () => {
  it("admit one process at a time, and are there after it", async () => {
    const path = join(folder, "one");
    const store = await openLevelRows(path);
    await store.write([{ key: "k", value: bytes("v") }]);
    await expect(openLevelRows(path)).rejects.toMatchObject({ code: "ERR_FOLDER_LOCKED" });
    await store.close();
    const again = await openLevelRows(path);
    expect(await again.getMany(["k"])).toEqual([bytes("v")]);
    await again.close();
  });
});
