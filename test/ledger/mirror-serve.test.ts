import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { mirrorCommand } from "../../cli/commands/mirror.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { serveMirror } from "../../ledger/mirror/mirror-routes.ts";
import { openMirror } from "../../ledger/mirror/run-mirror.ts";
import { runInProcess } from "../support/command-io.ts";
import { makeFolder, removeFolder } from "../support/data-folder.ts";
import {
  errorCode,
  eventually,
  LEDGER_KEYS,
  READER_TOKEN,
  removeLedgers,
  SUBMIT,
  startTestLedger,
} from "../support/ledger-service.ts";

const folders: string[] = [];
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
const policyText = `${LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("")}quorum none\n`;
const upstream = (url: string) => ({ url, fetch, timeoutMs: 5000, attempts: 2, token: READER_TOKEN });

async function newFolder(): Promise<string> {
  const folder = await makeFolder();
  folders.push(folder);
  return folder;
}

afterAll(async () => {
  for (const folder of folders) await removeFolder(folder);
});

describe("a mirror of a ledger over HTTP", () => {
  it("follows it, and is mirrored in turn from where it is served", async () => {
    const ledger = await startTestLedger();
    const add = async (from: number, count: number): Promise<void> => {
      await Promise.all(Array.from({ length: count }, (_, i) => ledger.post("/add", `entry ${from + i}`, SUBMIT)));
    };
    const publishedSize = async (size: number): Promise<void> => {
      await eventually(async () => {
        const response = await ledger.get("/checkpoint");
        return response.ok && Number((await response.text()).split("\n")[1]) >= size ? true : undefined;
      });
    };
    await add(0, 300);
    await publishedSize(301);
    const [first, second] = [await newFolder(), await newFolder()];
    const policy = parseWitnessPolicy(policyText);
    const mirror = await openMirror({ folder: first, upstream: upstream(ledger.url), policy, logKeys: [] });
    expect((await mirror.pull()).size).toBe(301n);
    await expect(
      openMirror({ folder: first, upstream: upstream(ledger.url), policy, logKeys: [] }),
    ).rejects.toMatchObject({
      code: "ERR_FOLDER_LOCKED",
    });
    const served = await serveMirror({ folder: first, host: "127.0.0.1", port: 0, logger: quiet });
    const taken = { folder: first, host: "127.0.0.1", port: Number(new URL(served.url).port), logger: quiet };
    await expect(serveMirror(taken)).rejects.toMatchObject({ code: "ERR_SERVICE_START" });
    await add(300, 300);
    await publishedSize(601);
    const stop = new AbortController();
    const following = mirror.follow(10, stop.signal, () => undefined);
    await eventually(async () => {
      const note = await (await fetch(`${served.url}/checkpoint`)).text();
      return note.split("\n")[1] === "601" ? true : undefined;
    });
    stop.abort();
    await following;
    const again = await openMirror({ folder: second, upstream: upstream(served.url), policy, logKeys: [] });
    expect((await again.pull()).size).toBe(601n);
    for (const path of [
      "checkpoint",
      "tile/0/001",
      "tile/0/002.p/89",
      "tile/0/002.p/7",
      "tile/1/000.p/2",
      "tile/entries/000",
    ]) {
      const [ours, theirs] = await Promise.all([
        fetch(`${served.url}/${path}`),
        ledger.get(`/${path}`, { authorization: `Bearer ${READER_TOKEN}` }),
      ]);
      expect([path, ours.status]).toEqual([path, 200]);
      expect(Buffer.from(await ours.arrayBuffer()).equals(Buffer.from(await theirs.arrayBuffer()))).toBe(true);
    }
    const tile = await fetch(`${served.url}/tile/0/001`);
    expect(tile.headers.get("cache-control")).toContain("immutable");
    expect(tile.headers.get("content-type")).toBe("application/octet-stream");
    for (const path of [
      "tile/0/002",
      "tile/0/002.p/90",
      "tile/0/1",
      "tile/0/..%2f..%2fpending",
      "pending",
      "tile/entries/003.p/1",
    ]) {
      const response = await fetch(`${served.url}/${path}`);
      expect([path, response.status]).toEqual([path, 404]);
      expect(await errorCode(response)).toBeDefined();
    }
    await Promise.all([again.close(), mirror.close(), served.close()]);
    await removeLedgers([ledger]);
  });
});

describe("countersign mirror", () => {
  it("copies, says what is new, and refuses what it cannot use", async () => {
    const ledger = await startTestLedger({ config: { readers: "public" } });
    await ledger.post("/add", "an entry", SUBMIT);
    await eventually(async () =>
      (await (await ledger.get("/checkpoint")).text()).includes("\n2\n") ? true : undefined,
    );
    const folder = await newFolder();
    const policyFile = join(folder, "policy.txt");
    await writeFile(policyFile, policyText);
    const to = join(folder, "mirror");
    const args = ["--to", to, "--from", ledger.url, "--witness-policy", policyFile];
    expect(await runInProcess(mirrorCommand, args)).toMatchObject({ exit: 0, out: "2 entries, 2 new\n" });
    expect(await runInProcess(mirrorCommand, args)).toMatchObject({ exit: 0, out: "2 entries, 0 new\n" });
    await removeLedgers([ledger]);
    const gone = await runInProcess(mirrorCommand, [...args, "--timeout-ms", "500"]);
    expect(gone).toMatchObject({ exit: 1 });
    expect(gone.err).toContain("ERR_LOG_UNREACHABLE");
    for (const wrong of [
      [],
      ["--to", to],
      ["--to", to, "--from", "ftp://x", "--witness-policy", policyFile],
      [...args, "--timeout-ms", "soon"],
    ]) {
      expect((await runInProcess(mirrorCommand, wrong)).fault).toBe("usage");
    }
    await writeFile(policyFile, "quorum none\n");
    expect((await runInProcess(mirrorCommand, args)).fault).toBe("usage");
    expect((await runInProcess(mirrorCommand, ["--to", to, "--serve", "nowhere"])).fault).toBe("usage");
    expect(mirrorCommand.help).toContain("--follow");
    await rm(to, { recursive: true });
  });
});
