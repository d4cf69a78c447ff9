/** `countersign check-promise` from files, and from a log that it asks. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkPromiseCommand } from "../../cli/commands/check-promise.ts";
import { formatHex } from "../../kernel/hex.ts";
import { formatLogProof } from "../../kernel/log-proof.ts";
import { formatLeafPromise } from "../../kernel/promise.ts";
import { runInProcess } from "../support/command-io.ts";
import { policyText } from "../support/log-keys.ts";
import { cosignedNote, leavesOf, promiseOf, proofEvidence } from "../support/promises.ts";
import { LOG_URL, makeTiledLog, type TiledLog } from "../support/tiled-log.ts";

const INDEX = 290;
const honest = makeTiledLog(300);
const rival = makeTiledLog(300, "rival");
const leaves = leavesOf(300);
const leaf = leaves[INDEX] ?? new Uint8Array();
const rivals = leavesOf(300, "rival");
let folder = "";
let server: Server;
let shown: TiledLog = honest;
let url = "";
let args: readonly string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "countersign-promise-"));
  await write("promise.json", formatLeafPromise(promiseOf(leaves, [280, 300], INDEX)));
  await write("policy", policyText(2));
  await write("entry", honest.entry(INDEX));
  args = [at("promise.json"), "--witness-policy", at("policy"), "--entry", at("entry")];
  server = createServer((request, response) => {
    void shown.fetch(`${LOG_URL}${request.url ?? ""}`).then(async (answer) => {
      response.writeHead(answer.status).end(new Uint8Array(await answer.arrayBuffer()));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);
const write = (name: string, data: Uint8Array | string): Promise<void> => writeFile(at(name), data);
const run = (...more: readonly string[]) => runInProcess(checkPromiseCommand, [...args, ...more]);

async function ask(log: TiledLog, ...more: readonly string[]) {
  shown = log;
  return run("--ledger", url, ...more);
}

describe("countersign check-promise", () => {
  it("exits 0 when a log, or a log proof, shows the entry where it was promised", async () => {
    const asked = await ask(honest, "--save", at("kept.tlog-proof"));
    expect(asked).toMatchObject({ exit: 0, err: "" });
    expect(asked.out).toMatch(/^kept: /u);
    expect(await run("--proof", at("kept.tlog-proof"))).toMatchObject({ exit: 0 });
    const byLeaf = [...args.slice(0, 3), "--leaf", formatHex(leaf), "--proof", at("kept.tlog-proof"), "--json"];
    const json = await runInProcess(checkPromiseCommand, byLeaf);
    expect(JSON.parse(json.out)).toMatchObject({ verdict: "pass", index: INDEX, found: formatHex(leaf) });
  });

  it("exits 1 when the log has another entry there, and keeps what proves it", async () => {
    const asked = await ask(rival, "--save", at("broken.tlog-proof"), "--json");
    expect(asked.exit).toBe(1);
    const found = formatHex(rivals[INDEX] ?? new Uint8Array());
    expect(JSON.parse(asked.out)).toMatchObject({ verdict: "fail", code: "ERR_PROMISE_BROKEN", found });
    const again = await run("--proof", at("broken.tlog-proof"), "--found", found);
    expect(again.exit).toBe(1);
    expect(again.out).toContain(found);
    expect(await run("--proof", at("broken.tlog-proof"))).toMatchObject({ exit: 2 });
    expect((await ask(rival, "--save", at("broken.tlog-proof"))).fault).toBe("ERR_FILE_WRITE");
  });

  it("exits 1 on a checkpoint that a quorum cosigned too late, and 2 on one that it cosigned in time", async () => {
    const root = honest.tree.roots[INDEX];
    if (root === undefined) throw new Error("no root");
    await write("late", cosignedNote(INDEX, root, [1, 2]));
    await write("in-time", cosignedNote(INDEX, root, [0, -2]));
    const late = await run("--checkpoint", at("late"));
    expect([late.exit, late.out.includes("ERR_PROMISE_LATE")]).toEqual([1, true]);
    expect(await run("--checkpoint", at("in-time"))).toMatchObject({ exit: 2 });
  });

  it("exits 2 while the log is shorter, does not answer, or answers with what does not fit", async () => {
    honest.size = INDEX;
    expect(await ask(honest)).toMatchObject({ exit: 2 });
    honest.size = 300;
    honest.tamper = (path, bytes) =>
      path.startsWith("tile/0/") && bytes !== undefined ? new Response(Buffer.from(bytes).fill(7)) : undefined;
    const lied = await ask(honest);
    honest.tamper = (path) => (path === "checkpoint" ? new Response("nonsense") : undefined);
    const spoiled = await ask(honest);
    honest.tamper = undefined;
    expect([lied.exit, lied.out.includes("ERR_ROOT_MISMATCH")]).toEqual([2, true]);
    expect(spoiled.exit).toBe(2);
    const nobody = await run("--ledger", "http://127.0.0.1:1");
    expect([nobody.exit, nobody.out.includes("ERR_LOG_UNREACHABLE")]).toEqual([2, true]);
  });

  it("refuses as unusable a promise of another entry, a damaged one, and files that it cannot read", async () => {
    const evidence = await proofEvidence(leaves, INDEX, [1, 1]);
    await write("proof", formatLogProof(evidence.proof));
    const other = [...args.slice(0, 3), "--leaf", formatHex(leaves[INDEX - 1] ?? new Uint8Array())];
    expect((await runInProcess(checkPromiseCommand, [...other, "--proof", at("proof")])).fault).toBe(
      "ERR_PROMISE_LEAF",
    );
    const text = await readFile(at("promise.json"), "utf8");
    await write("damaged.json", text.replace('"count":20', '"count":21'));
    const damaged = [at("damaged.json"), ...args.slice(1), "--proof", at("proof")];
    expect((await runInProcess(checkPromiseCommand, damaged)).fault).toBe("ERR_SIGNATURE_INVALID");
    expect((await run("--proof", at("entry"))).fault).toBe("ERR_LOG_PROOF");
    expect((await run("--proof", at("nowhere"))).fault).toBe("ERR_FILE_READ");
  });

  it("refuses arguments that do not go together, and says what it takes", async () => {
    const wrong: readonly (readonly string[])[] = [
      [],
      ["--proof", at("proof"), "--checkpoint", at("late")],
      ["--checkpoint", at("late"), "--found", formatHex(leaf)],
      ["--proof", at("proof"), "--save", at("x")],
      ["--proof", at("proof"), "--leaf", formatHex(leaf)],
      ["--no-such"],
    ];
    for (const more of wrong) expect((await run(...more)).fault).toBe("usage");
    expect((await runInProcess(checkPromiseCommand, [])).fault).toBe("usage");
    for (const flag of ["--entry", "--leaf", "--witness-policy", "--ledger", "--proof", "--found", "--checkpoint"]) {
      expect(checkPromiseCommand.help).toContain(flag);
    }
  });
});
