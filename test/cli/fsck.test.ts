import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fsckCommand } from "../../cli/commands/fsck.ts";
import { reindexCommand } from "../../cli/commands/reindex.ts";
import { runInProcess } from "../support/command-io.ts";
import { FOLDER_ORIGIN, FOLDER_POLICY, makeFolder, openFolderLog, removeFolder } from "../support/data-folder.ts";

let folder = "";
let policyFile = "";
const NO_THREADS = ["--threads", "0"];

beforeAll(async () => {
  folder = await makeFolder();
  const log = await openFolderLog(folder, "raw");
  await log.addRaw(Array.from({ length: 300 }, (_, i) => `entry ${i}`));
  await log.publish();
  await log.close();
  policyFile = join(folder, "..", `${folder.split("/").at(-1)}.policy`);
  await writeFile(policyFile, FOLDER_POLICY);
});

afterAll(async () => {
  await removeFolder(folder);
  await removeFolder(policyFile);
});

describe("countersign fsck", () => {
  it("exits 0 on a sound folder, as text and as JSON, and draws progress on a terminal only", async () => {
    const args = [folder, ...NO_THREADS, "--origin", FOLDER_ORIGIN, "--witness-policy", policyFile];
    const text = await runInProcess(fsckCommand, args);
    expect(text).toMatchObject({ exit: 0, err: "" });
    expect(text.out).toContain("clean");
    const json = await runInProcess(fsckCommand, [...args, "--json"], { isTerminal: true });
    expect(JSON.parse(json.out)).toMatchObject({ clean: true, size: 301, faults: [], origin: FOLDER_ORIGIN });
    expect(json.err).toContain("checking [");
  });

  it("exits 1 and names file and code of each fault", async () => {
    await writeFile(join(folder, "tile/0/077"), "x");
    const run = await runInProcess(fsckCommand, [folder, ...NO_THREADS, "--json"]);
    expect(run.exit).toBe(1);
    expect(JSON.parse(run.out)).toMatchObject({
      clean: false,
      faults: [{ path: "tile/0/077", code: "ERR_FILE_STRAY" }],
    });
    await removeFolder(join(folder, "tile/0/077"));
  });

  it("repairs an index, and only an index", async () => {
    await removeFolder(join(folder, "index/CURRENT"));
    expect((await runInProcess(fsckCommand, [folder, ...NO_THREADS])).exit).toBe(1);
    expect((await runInProcess(fsckCommand, [folder, ...NO_THREADS, "--repair-index"])).exit).toBe(0);
  });

  it("refuses arguments that it does not take, a folder that is none, a policy that is none", async () => {
    expect((await runInProcess(fsckCommand, [])).fault).toBe("usage");
    expect((await runInProcess(fsckCommand, [folder, "--threads", "many"])).fault).toBe("usage");
    expect((await runInProcess(fsckCommand, [folder, "--no-such"])).fault).toBe("usage");
    expect((await runInProcess(fsckCommand, [join(folder, "nowhere")])).fault).toBe("ERR_FILE_READ");
    expect((await runInProcess(fsckCommand, [folder, "--witness-policy", join(folder, "head")])).fault).toBeDefined();
  });

  it("takes the folder, the origin and the witness policy of a configuration", async () => {
    const file = `${folder}.json`;
    const config = {
      listen: {},
      data_dir: folder,
      origin: FOLDER_ORIGIN,
      log_kind: "raw",
      log_key_files: ["a", "b"],
      operator_key_file: "operator.key",
      witness_policy: FOLDER_POLICY,
      admission: { software_evidence: "allow" },
      submit_token_file: "submit",
      reader_token_files: [],
      readers: "token",
    };
    await writeFile(file, JSON.stringify(config));
    const run = await runInProcess(fsckCommand, ["--config", file, ...NO_THREADS, "--json"]);
    expect(JSON.parse(run.out)).toMatchObject({ clean: true, size: 301, remarks: [] });
    await writeFile(file, JSON.stringify({ ...config, origin: "log.example/other" }));
    const other = await runInProcess(fsckCommand, ["--config", file, ...NO_THREADS, "--json"]);
    expect(JSON.parse(other.out)).toMatchObject({ clean: false });
    expect((await runInProcess(fsckCommand, [folder, "--config", file])).fault).toBe("usage");
    expect((await runInProcess(fsckCommand, [folder, "--log", "a"])).fault).toBe("usage");
    await removeFolder(file);
  });

  it("says what it takes", () => {
    for (const flag of ["--config", "--log", "--origin", "--witness-policy", "--json", "--repair-index", "--threads"]) {
      expect(fsckCommand.help).toContain(flag);
    }
  });
});

describe("countersign reindex", () => {
  it("changes nothing in a dry run, and indexes the log otherwise", async () => {
    await removeFolder(join(folder, "index/CURRENT"));
    expect(await runInProcess(reindexCommand, [folder, "--dry-run"])).toMatchObject({ exit: 0 });
    expect((await runInProcess(fsckCommand, [folder, ...NO_THREADS])).exit).toBe(1);
    expect(await runInProcess(reindexCommand, [folder])).toMatchObject({ exit: 0, out: "indexed 301 entries\n" });
    expect((await runInProcess(fsckCommand, [folder, ...NO_THREADS])).exit).toBe(0);
    expect((await runInProcess(reindexCommand, [])).fault).toBe("usage");
  });
});
