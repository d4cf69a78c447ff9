/** A ledger that pushes to mirrors: our own receiver, and ones that misbehave. */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { openNote } from "../../kernel/checkpoint/open-note.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { parseReceiverConfig } from "../../ledger/mirror/receiver-config.ts";
import { startReceiver } from "../../ledger/mirror/start-receiver.ts";
import { originHash } from "../../witness/state-book.ts";
import { makeFolder, removeFolder } from "../support/data-folder.ts";
import {
  eventually,
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  removeLedgers,
  SUBMIT,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";

const KEY = makeSignerKey("mirror.example/one", 0x04, new Uint8Array(32).fill(33));
const LOG_KEYS = LEDGER_KEYS.map(({ verifierKey }) => verifierKey);
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
const cleanUp: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const each of cleanUp.splice(0).toReversed()) await each();
});

async function startMirror(folder: string, port = 0): Promise<RunningService> {
  const config = parseReceiverConfig({
    listen: { port },
    data_dir: folder,
    key_files: ["key"],
    logs: [{ origin: LEDGER_ORIGIN, keys: LOG_KEYS.map(formatVerifierKey) }],
  });
  const mirror = await startReceiver({ config, keys: [KEY], logger: quiet });
  cleanUp.push(mirror.close);
  return mirror;
}

async function newFolder(): Promise<string> {
  const folder = await makeFolder();
  cleanUp.push(() => removeFolder(folder));
  return folder;
}

async function startLedger(urls: readonly string[], dataDir?: string): Promise<TestLedger> {
  const mirrors = urls.map((url) => ({ url, key: KEY.verifierKey }));
  const ledger = await startTestLedger({ config: { mirrors }, ...(dataDir === undefined ? {} : { dataDir }) });
  cleanUp.push(() => removeLedgers([ledger]));
  return ledger;
}

async function addMany(ledger: TestLedger, first: number, count: number): Promise<void> {
  for (let i = first; i < first + count; i += 50) {
    const some = Array.from({ length: Math.min(50, first + count - i) }, (_, j) => `entry ${i + j}`);
    await Promise.all(some.map((entry) => ledger.post("/add", entry, SUBMIT)));
  }
}

interface Shown {
  readonly size: number;
  readonly lag_entries: number;
  readonly last_error: string | null;
  readonly consecutive_failures: number;
}

async function mirrorsOf(ledger: TestLedger): Promise<readonly Shown[]> {
  const { mirrors }: { readonly mirrors: readonly Shown[] } = Object(await (await ledger.get("/readyz")).json());
  return mirrors;
}

/** Waits until the mirror stores this many entries, by its own cosignature. */
function stored(ledger: TestLedger, size: number): Promise<Shown> {
  return eventually(async () => {
    const [view] = await mirrorsOf(ledger);
    return view !== undefined && view.size >= size && view.lag_entries === 0 ? view : undefined;
  });
}

describe("a ledger that pushes to a mirror", () => {
  it("brings it up to date, keeps it there, and shows how far it is", async () => {
    const mirror = await startMirror(await newFolder());
    const ledger = await startLedger([mirror.url]);
    await addMany(ledger, 0, 600);
    await stored(ledger, 601);
    const prefix = `${mirror.url}/${originHash(LEDGER_ORIGIN)}`;
    const note = await (await fetch(`${prefix}/checkpoint`)).text();
    expect(openNote(note, [...LOG_KEYS, KEY.verifierKey]).verified).toHaveLength(3);
    const bundle = new Uint8Array(await (await fetch(`${prefix}/tile/entries/001`)).arrayBuffer());
    expect(parseEntryBundle(bundle, 256)).toHaveLength(256);
    await addMany(ledger, 600, 3);
    const { last_error, consecutive_failures } = await stored(ledger, 604);
    expect([last_error, consecutive_failures]).toEqual([null, 0]);
    const metrics = await (await ledger.get("/metrics")).text();
    expect(metrics).toContain(`ledger_mirror_lag_entries{mirror="${mirror.url}"} 0`);
    expect(metrics).toContain(`ledger_mirror_size{mirror="${mirror.url}"} 604`);
  });

  it("goes on after restarts of both, and after a time without the mirror", async () => {
    const [folder, dataDir] = [await newFolder(), await newFolder()];
    const mirror = await startMirror(folder);
    const port = Number(new URL(mirror.url).port);
    const first = await startLedger([mirror.url], dataDir);
    await addMany(first, 0, 300);
    await stored(first, 301);
    await mirror.close();
    await addMany(first, 300, 10);
    await eventually(async () => ((await mirrorsOf(first))[0]?.last_error === "no connection" ? true : undefined));
    expect((await mirrorsOf(first))[0]?.lag_entries).toBeGreaterThan(0);
    expect((await first.get("/readyz")).status).toBe(200);
    await first.close();
    await startMirror(folder, port);
    const second = await startLedger([mirror.url], dataDir);
    await addMany(second, 310, 5);
    await stored(second, 316);
  });

  /** A mirror that answers announcements with 200 and uploads as told. */
  async function startLiar(answer: { status: number; type?: string; body: string }): Promise<string> {
    const server: Server = createServer((request, response) => {
      request.resume();
      request.on("end", () => {
        const isUpload = request.url === "/add-entries";
        response.writeHead(isUpload ? answer.status : 200, { "content-type": answer.type ?? "text/plain" });
        response.end(isUpload ? answer.body : "");
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUp.push(
      () =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    );
    const { port } = server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  const INFO = "text/x.tlog.mirror-info";
  it.each([
    ["stored without a cosignature", { status: 200, body: "" }, "ERR_NOTE"],
    ["more to come, and never moves", { status: 202, type: INFO, body: "1\n0\n\n" }, "an upload got no further"],
    ["409 in another type", { status: 409, body: "1\n0\n\n" }, `status 409 without ${INFO}`],
    ["409 with a line too few", { status: 409, type: INFO, body: "1\n0\n" }, "status 409 without its three lines"],
    ["409 with a number of no form", { status: 409, type: INFO, body: "1\n01\n\n" }, "ERR_DECIMAL"],
    ["a fault", { status: 500, body: "" }, "status 500"],
    ["a megabyte", { status: 200, body: "x".repeat(1_000_000) }, "a reply that is too long"],
  ])("believes no mirror that answers %s, and pushes to the other one", async (_, answer, reason) => {
    const good = await startMirror(await newFolder());
    const ledger = await startLedger([await startLiar(answer), good.url]);
    await addMany(ledger, 0, 5);
    await eventually(async () => {
      const [bad, other] = await mirrorsOf(ledger);
      return bad?.last_error === reason && bad.size === 0 && other?.size === 6 ? true : undefined;
    });
    expect((await ledger.get("/readyz")).status).toBe(200);
  });
});
