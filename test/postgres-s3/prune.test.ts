/** `countersign prune --config`: what nodes and exports refuse to show from then on. */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { exportCommand } from "../../cli/commands/export.ts";
import { pruneCommand } from "../../cli/commands/prune.ts";
import { type CommandRun, runInProcess } from "../support/command-io.ts";
import { eventually, READER_TOKEN, SUBMIT } from "../support/ledger-service.ts";
import type { TestNode } from "../support/postgres-s3-log.ts";
import { type StoredCommand, startCommandBench } from "./stored-command.ts";
import { add, published, type StoredLog } from "./stored-log.ts";

const POLICY = "https://ledger.example/retention";

let log: StoredLog;
let files: StoredCommand;
let close: () => Promise<void>;

beforeAll(async () => {
  ({ log, files, close } = await startCommandBench("raw"));
  const node = await log.start("raw");
  await add(node, 0, 600);
  await published(node);
  await node.close();
});
afterAll(() => close());

function prune(beforeIndex: number, ...more: readonly string[]): Promise<CommandRun> {
  const where = ["--config", files.config, "--log", "a", "--before-index", String(beforeIndex)];
  return runInProcess(pruneCommand, [...where, "--retention-policy", POLICY, ...more]);
}

async function statuses(node: TestNode): Promise<readonly number[]> {
  const paths = ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/89", "tile/0/000", "tile/0/001"];
  const read = paths.map((path) => node.get(`/${path}`, { authorization: `Bearer ${READER_TOKEN}` }));
  return (await Promise.all(read)).map(({ status }) => status);
}

it("changes nothing by default, and what is not allowed is refused", async () => {
  expect(await prune(300)).toMatchObject({ exit: 0, out: "minimum index would be 300; --apply does it\n" });
  expect(await prune(300, "--dry-run")).toMatchObject({ exit: 0 });
  expect((await prune(602)).fault).toBe("ERR_RETENTION");
  expect((await prune(602, "--apply")).fault).toBe("ERR_RETENTION");
  for (const more of [["--delete"], ["--apply", "--dry-run"], ["folder"]])
    expect((await prune(300, ...more)).fault).toBe("usage");
  const folder = ["folder", "--before-index", "0", "--retention-policy", POLICY];
  for (const more of [["--apply"], ["--log", "a"]])
    expect((await runInProcess(pruneCommand, [...folder, ...more])).fault).toBe("usage");
  const unnamed = ["--config", files.config, "--log", "a", "--before-index", "1", "--retention-policy", ""];
  expect((await runInProcess(pruneCommand, [...unnamed, "--apply"])).fault).toBe("ERR_RETENTION");
  expect(await log.store.get("retention")).toBeUndefined();
});

it("raises the minimum index: nodes that run refuse bundles below it, others from their start on, and hash tiles stay", async () => {
  const running = await log.start("raw");
  expect(await statuses(running)).toEqual([200, 200, 200, 200, 200]);
  expect(await prune(300, "--apply")).toMatchObject({ exit: 0, out: "minimum index 300\n" });
  await eventually(async () => ((await statuses(running))[0] === 410 ? true : undefined));
  expect(await statuses(running)).toEqual([410, 200, 200, 200, 200]);
  expect(await (await running.get("/metadata")).json()).toMatchObject({ minimum_index: 300, retention_policy: POLICY });
  const known = await (await running.post("/add", "entry 7", SUBMIT)).text();
  await running.close();
  const node = await log.start("raw");
  expect(await statuses(node)).toEqual([410, 200, 200, 200, 200]);
  expect(await (await node.get("/metadata")).json()).toMatchObject({ minimum_index: 300, retention_policy: POLICY });
  expect(await (await node.post("/add", "entry 7", SUBMIT)).text()).toBe(known);
  await node.close();
  expect(await log.faults()).toEqual([]);
});

it("is refused to exports too, which give what lies behind it", async () => {
  const exported = (name: string, ...more: readonly string[]): Promise<CommandRun> => {
    const out = join(files.folder, name);
    return runInProcess(exportCommand, ["--config", files.config, "--log", "a", "--out", out, ...more]);
  };
  expect((await exported("all.tar")).fault).toBe("ERR_PRUNED");
  expect((await exported("below.tar", "--from-index", "255")).fault).toBe("ERR_PRUNED");
  expect(await exported("rest.tar", "--from-index", "300")).toMatchObject({ exit: 0 });
  expect((await readdir(files.folder)).filter((name) => name.includes(".tar"))).toEqual(["rest.tar"]);
});

it("never goes back, and may be raised again", async () => {
  expect((await prune(299, "--apply")).fault).toBe("ERR_RETENTION");
  expect(await prune(300, "--apply")).toMatchObject({ exit: 0 });
  expect(await prune(601, "--apply")).toMatchObject({ exit: 0 });
  const node = await log.start("raw");
  expect(await statuses(node)).toEqual([410, 410, 200, 200, 200]);
  await node.close();
});

it("keeps a node from starting where a byte of it was changed: what was refused must not come back", async () => {
  const refused = log.withFlip(
    "retention",
    (length) => length - 5,
    () => log.start("raw"),
  );
  await expect(refused).rejects.toMatchObject({ code: "ERR_RETENTION" });
});
