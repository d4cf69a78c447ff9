/** `countersign export --config` of a log in its stores: the archive that its url gives, or none. */

import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { exportCommand } from "../../cli/commands/export.ts";
import { importCommand } from "../../cli/commands/import.ts";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { parseNote } from "../../kernel/note/signed-note.ts";
import { MirrorStore } from "../../ledger/mirror/mirror-store.ts";
import { checkMirror } from "../../ledger/mirror/pull.ts";
import { makeNodeDisk } from "../../ledger/storage/node-disk.ts";
import { type CommandRun, runInProcess } from "../support/command-io.ts";
import { LEDGER_ORIGIN, READER_TOKEN } from "../support/ledger-service.ts";
import type { S3Server } from "../support/s3-server.ts";
import { type StoredCommand, startCommandBench, writeStoredCommand } from "./stored-command.ts";
import { add, published, type StoredLog } from "./stored-log.ts";

let s3: S3Server;
let log: StoredLog;
let files: StoredCommand;
let close: () => Promise<void>;
/** What the url of a node gave. */
let byUrl: Buffer;

/** 701 entries: two bundles, a rest in rows, partial tiles of two published sizes. */
beforeAll(async () => {
  ({ s3, log, files, close } = await startCommandBench("raw"));
  const node = await log.start("raw");
  await add(node, 0, 600);
  await published(node);
  await add(node, 600, 100);
  await published(node);
  const [out, token] = [join(files.folder, "url.tar"), join(files.folder, "reader")];
  await writeFile(token, `${READER_TOKEN}\n`);
  expect(await runInProcess(exportCommand, [node.url, "--out", out, "--token-file", token])).toMatchObject({ exit: 0 });
  byUrl = await readFile(out);
  await node.close();
});
afterAll(() => close());

function exported(name: string, ...more: readonly string[]): Promise<CommandRun> {
  const out = join(files.folder, name);
  return runInProcess(exportCommand, ["--config", files.config, "--log", "a", "--out", out, ...more]);
}

/** Opens an imported folder without judging its notes: the import has. */
function openMirror(folder: string): Promise<MirrorStore> {
  return MirrorStore.open(makeNodeDisk(folder), (note) => ({ ...parseCheckpoint(parseNote(note).text), note }));
}

it("gives the same bytes as the url of a node, and a mirror's folder once imported", async () => {
  expect(await exported("log.tar")).toMatchObject({ exit: 0, out: `${byUrl.length} bytes\n` });
  expect((await readFile(join(files.folder, "log.tar"))).equals(byUrl)).toBe(true);
  const to = join(files.folder, "mirror");
  const done = await runInProcess(importCommand, [
    join(files.folder, "log.tar"),
    "--to",
    to,
    "--witness-policy",
    files.policy,
  ]);
  expect(done).toMatchObject({ exit: 0, out: `${LEDGER_ORIGIN}: a log of 701 entries\n` });
  expect(await checkMirror(await openMirror(to))).toBe(701n);
});

it("gives a range", async () => {
  expect(await exported("range.tar", "--from-index", "300", "--to-index", "400")).toMatchObject({ exit: 0 });
  expect((await readFile(join(files.folder, "range.tar"))).length).toBeLessThan(byUrl.length);
});

it("gives no archive of objects of which a byte was changed, nor of what is missing", async () => {
  const keys = (await log.objects()).filter((key) => /^tile\/(?:0\/00[01]|entries\/00[01]|.*\/189)$/u.test(key));
  expect(keys.length).toBe(6);
  for (const key of keys) {
    const run = await log.withFlip(
      key,
      (length) => length - 1,
      () => exported("bad.tar"),
    );
    expect(run, key).toMatchObject({ exit: undefined, fault: "ERR_ROOT_MISMATCH" });
    const bytes = (await log.store.get(key))?.bytes ?? new Uint8Array(0);
    await log.store.remove(key);
    expect(await exported("bad.tar"), key).toMatchObject({ exit: undefined, fault: "ERR_TILE_MISSING" });
    await log.put(key, bytes);
  }
  expect((await readdir(files.folder)).filter((name) => name.includes("bad.tar"))).toEqual([]);
  expect(await exported("again.tar")).toMatchObject({ exit: 0 });
});

it("gives no archive of a checkpoint that the log did not sign, or of no checkpoint", async () => {
  await log.database.query("CREATE TABLE kept AS SELECT * FROM countersign_head");
  const undo = "UPDATE countersign_head SET published = kept.published FROM kept";
  for (const at of [5, 60, 130]) {
    await log.database.query(`UPDATE countersign_head SET published = overlay(published placing
      CASE substr(published, ${at}, 1) WHEN 'A' THEN 'B' ELSE 'A' END from ${at} for 1)`);
    expect((await exported("bad.tar")).fault, String(at)).toMatch(/^ERR_(?:NOTE|LOG|ORIGIN|CHECKPOINT|BASE64)/u);
    await log.database.query(undo);
  }
  await log.database.query("UPDATE countersign_head SET published = NULL");
  expect((await exported("bad.tar")).fault).toBe("ERR_NOT_PUBLISHED");
  await log.database.query(undo);
  expect((await readdir(files.folder)).filter((name) => name.includes("bad.tar"))).toEqual([]);
});

it("takes a full tile where the partial one of the checkpoint has gone", async () => {
  await log.database.query("CREATE TABLE at_701 AS SELECT * FROM countersign_head");
  const node = await log.start("raw");
  await add(node, 700, 400);
  await published(node);
  await node.close();
  for (const key of ["tile/0/002.p/189", "tile/entries/002.p/189"]) await log.store.remove(key);
  await log.database.query("UPDATE countersign_head SET published = at_701.published FROM at_701");
  expect(await exported("older.tar")).toMatchObject({ exit: 0 });
  expect((await readFile(join(files.folder, "older.tar"))).equals(byUrl)).toBe(true);
});

it("wants a log, and one that the database has", async () => {
  const out = join(files.folder, "none.tar");
  expect((await runInProcess(exportCommand, ["--out", out])).fault).toBe("usage");
  expect((await exported("none.tar", "folder")).fault).toBe("usage");
  expect((await exported("none.tar", "--token-file", "token")).fault).toBe("usage");
  expect((await runInProcess(exportCommand, ["folder", "--log", "a", "--out", out])).fault).toBe("usage");
  const other = await writeStoredCommand(log, s3, "raw", "ledger.example/another");
  const run = await runInProcess(exportCommand, ["--config", other.config, "--log", "a", "--out", out]);
  expect(run.fault).toBe("ERR_GENESIS_MISMATCH");
  await rm(other.folder, { recursive: true });
});
