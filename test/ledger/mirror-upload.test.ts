import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { parseBase64 } from "../../kernel/base64.ts";
import { concat } from "../../kernel/bytes.ts";
import { makeCosigner } from "../../kernel/checkpoint/note-signer.ts";
import { openNote } from "../../kernel/checkpoint/open-note.ts";
import { proveConsistency, proveSubtree } from "../../kernel/merkle/prove.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import { answerSigning, type SigningRequest, type SigningThread } from "../../kernel/service/thread-cosigner.ts";
import { parseReceiverConfig } from "../../ledger/mirror/receiver-config.ts";
import { type ReceiverOptions, startReceiver } from "../../ledger/mirror/start-receiver.ts";
import { formatPackage, formatUploadHeader, packageEnd } from "../../ledger/mirror/upload.ts";
import { makeFolder, removeFolder } from "../support/data-folder.ts";
import { logSigner, ORIGIN } from "../support/log-keys.ts";
import { makeTiledLog } from "../support/tiled-log.ts";

const log = makeTiledLog(900);
const fork = makeTiledLog(900, "forged");
const mirrorKey = makeSignerKey("mirror.example/one", 0x04, new Uint8Array(32).fill(33));
const HASH = createHash("sha256").update(ORIGIN).digest("hex");
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
let folder = "";
let mirror: RunningService;

async function start(changes: Partial<ReceiverOptions> = {}): Promise<RunningService> {
  const config = parseReceiverConfig({
    listen: { port: 0 },
    data_dir: folder,
    key_files: ["key"],
    logs: [{ origin: ORIGIN, keys: [formatVerifierKey(logSigner.key)] }],
  });
  const clock = { nowMs: () => 1_700_000_000_000 };
  return startReceiver({ config, keys: [mirrorKey], logger: quiet, clock, ...changes });
}

beforeEach(async () => {
  folder = await makeFolder();
  mirror = await start();
});
afterEach(async () => {
  await mirror.close();
  await removeFolder(folder);
});

async function pushCheckpoint(old: number, size: number, of = log): Promise<Response> {
  const proof = old > 0 && old < size ? await proveConsistency(BigInt(old), BigInt(size), of.tree.reader) : [];
  return fetch(`${mirror.url}/add-checkpoint`, {
    method: "POST",
    body: formatAddCheckpoint(BigInt(old), proof, of.note(size)),
  });
}

interface Upload {
  readonly start: number;
  readonly end: number;
  /** Packages that are sent; all by default. */
  readonly packages?: number;
  readonly ticket?: Uint8Array;
  readonly origin?: string;
  readonly of?: typeof log;
  readonly change?: (body: Uint8Array) => Uint8Array;
}

async function bodyOf({
  start,
  end,
  packages = 100,
  ticket = new Uint8Array(0),
  origin = ORIGIN,
  of = log,
}: Upload): Promise<Uint8Array> {
  const parts = [formatUploadHeader({ origin, start: BigInt(start), end: BigInt(end), ticket })];
  for (let at = BigInt(start), i = 0; at < BigInt(end) && i < packages; at = packageEnd(at, BigInt(end)), i += 1) {
    const stop = packageEnd(at, BigInt(end));
    const entries = Array.from({ length: Number(stop - at) }, (_, j) => of.entry(Number(at) + j));
    parts.push(
      formatPackage({ entries, proof: await proveSubtree(at - (at % 256n), stop, BigInt(end), of.tree.reader) }),
    );
  }
  return concat(...parts);
}

async function push(upload: Upload, gzip = false): Promise<Response> {
  const body = (upload.change ?? ((bytes) => bytes))(await bodyOf(upload));
  return fetch(`${mirror.url}/add-entries`, {
    method: "POST",
    body: Buffer.from(gzip ? gzipSync(body) : body),
    headers: { "content-type": "application/octet-stream", ...(gzip ? { "content-encoding": "gzip" } : {}) },
  });
}

async function infoOf(response: Response): Promise<{ pending: number; next: number; ticket: Uint8Array }> {
  expect(response.headers.get("content-type")).toContain("text/x.tlog.mirror-info");
  const [pending, next, ticket, ...rest] = (await response.text()).split("\n");
  expect(rest).toEqual([""]);
  return { pending: Number(pending), next: Number(next), ticket: parseBase64(ticket ?? "") };
}

const mirrored = async (): Promise<string | undefined> => {
  const response = await fetch(`${mirror.url}/${HASH}/checkpoint`);
  return response.ok ? (await response.text()).split("\n")[1] : undefined;
};

describe("a mirror that logs push to", () => {
  it("signs a checkpoint when it holds all of it, and serves it, over several uploads and sizes, also gzipped", async () => {
    expect((await pushCheckpoint(0, 600)).status).toBe(200);
    expect(await mirrored()).toBeUndefined();
    expect((await push({ start: 0, end: 600, packages: 1 })).status).toBe(202);
    const done = await push({ start: 256, end: 600 }, true);
    expect(done.status).toBe(200);
    const line = await done.text();
    const note = await (await fetch(`${mirror.url}/${HASH}/checkpoint`)).text();
    const { verified } = openNote(note, [mirrorKey.verifierKey, logSigner.key]);
    expect(verified).toHaveLength(2);
    expect(note.endsWith(line)).toBe(true);
    expect((await pushCheckpoint(600, 900)).status).toBe(200);
    expect(await mirrored()).toBe("600");
    expect((await push({ start: 600, end: 900 })).status).toBe(200);
    expect(await mirrored()).toBe("900");
    for (const path of [
      "tile/0/002",
      "tile/0/003.p/132",
      "tile/1/000.p/3",
      "tile/entries/003.p/132",
      "tile/entries/002.p/88",
    ]) {
      const theirs = Buffer.from(await (await log.fetch(`http://log.test/prefix/${path}`)).arrayBuffer());
      expect(Buffer.from(await (await fetch(`${mirror.url}/${HASH}/${path}`)).arrayBuffer()).equals(theirs)).toBe(true);
    }
  });

  it("answers add-checkpoint as a witness does, and signs nothing", async () => {
    const post = async (body: string): Promise<number> =>
      (await fetch(`${mirror.url}/add-checkpoint`, { method: "POST", body })).status;
    expect(await post("nonsense")).toBe(400);
    expect(await post(formatAddCheckpoint(0n, [], log.note(10).replaceAll(ORIGIN, "other.example/log")))).toBe(404);
    expect(await post(formatAddCheckpoint(0n, [], log.note(10).replace(/— log.*\n/, "")))).toBe(403);
    expect(await post(formatAddCheckpoint(0n, [], log.note(10).replace("\n10\n", "\n11\n")))).toBe(403);
    expect(await post(formatAddCheckpoint(20n, [], log.note(10)))).toBe(400);
    const first = await pushCheckpoint(0, 300);
    expect([first.status, await first.text()]).toEqual([200, ""]);
    const conflict = await pushCheckpoint(0, 400);
    expect([conflict.status, conflict.headers.get("content-type"), await conflict.text()]).toEqual([
      409,
      "text/x.tlog.size",
      "300\n",
    ]);
    expect((await pushCheckpoint(300, 400, fork)).status).toBe(422);
    expect((await pushCheckpoint(300, 300, fork)).status).toBe(422);
    expect((await pushCheckpoint(300, 400)).status).toBe(200);
  });

  it("answers add-entries by the table", async () => {
    expect((await push({ start: 0, end: 300, origin: "other.example/log" })).status).toBe(404);
    expect((await push({ start: 0, end: 300 })).status).toBe(422);
    await pushCheckpoint(0, 300);
    for (const wrong of [
      { start: 0, end: 299 },
      { start: 256, end: 300 },
      { start: 0, end: 900 },
    ]) {
      const response = await push(wrong);
      expect([wrong, response.status]).toEqual([wrong, 409]);
      expect(await infoOf(response)).toMatchObject({ pending: 300, next: 0 });
    }
    expect((await push({ start: 0, end: 300, packages: 0 })).status).toBe(400);
    expect((await push({ start: 0, end: 300, change: (body) => body.subarray(0, 20) })).status).toBe(400);
    expect((await push({ start: 0, end: 300, change: (body) => body.subarray(0, 400) })).status).toBe(400);
    expect((await push({ start: 0, end: 300, of: fork })).status).toBe(422);
    const flipped = await push({ start: 0, end: 300, change: (body) => flip(body, body.length - 40) });
    expect(flipped.status).toBe(422);
    const after = await push({ start: 256, end: 300, packages: 0 });
    expect([after.status, (await mirrored()) ?? "none"]).toEqual([400, "none"]);
    expect((await push({ start: 256, end: 300 })).status).toBe(200);
    expect((await push({ start: 300, end: 300 })).status).toBe(200);
    await pushCheckpoint(300, 900);
    const below = await push({ start: 0, end: 200 });
    expect([below.status, await infoOf(below)]).toMatchObject([409, { pending: 900, next: 300 }]);
    expect((await push({ start: 300, end: 900, change: (body) => body.subarray(0, body.length - 10) })).status).toBe(
      202,
    );
    expect((await push({ start: 768, end: 900 })).status).toBe(200);
  });

  it("unpacks a compressed bomb no further than its first package", async () => {
    await pushCheckpoint(0, 600);
    const head = formatUploadHeader({ origin: ORIGIN, start: 0n, end: 600n, ticket: new Uint8Array(0) });
    const bomb = gzipSync(concat(head, new Uint8Array(64 * 1024 * 1024)));
    const before = process.memoryUsage().rss;
    const response = await fetch(`${mirror.url}/add-entries`, {
      method: "POST",
      body: bomb,
      headers: { "content-type": "application/octet-stream", "content-encoding": "gzip" },
    });
    expect(response.status).toBe(422);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    expect((await push({ start: 0, end: 600 })).status).toBe(200);
  });

  it("refuses other content types, encodings and gzip that is none", async () => {
    const post = async (headers: Record<string, string>): Promise<number> =>
      (await fetch(`${mirror.url}/add-entries`, { method: "POST", body: "x", headers })).status;
    expect(await post({ "content-type": "text/plain" })).toBe(415);
    expect(await post({ "content-type": "application/octet-stream", "content-encoding": "br" })).toBe(400);
    expect(await post({ "content-type": "application/octet-stream", "content-encoding": "gzip" })).toBe(400);
  });

  it("lets an upload end at a pending checkpoint that was replaced, and after a restart goes on where it was", async () => {
    await pushCheckpoint(0, 300);
    await pushCheckpoint(300, 600);
    expect((await push({ start: 0, end: 300 })).status).toBe(200);
    expect((await push({ start: 300, end: 600, packages: 1 })).status).toBe(202);
    await mirror.close();
    mirror = await start();
    expect(await mirrored()).toBe("300");
    const info = await infoOf(await push({ start: 600, end: 600 }));
    expect(info).toMatchObject({ pending: 600, next: 512 });
    expect((await push({ start: 512, end: 600 })).status).toBe(200);
    expect(await mirrored()).toBe("600");
  });

  it("takes its own tickets for heads that it has forgotten, and no others", async () => {
    await pushCheckpoint(0, 300);
    const { ticket } = await infoOf(await push({ start: 0, end: 299 }));
    for (let size = 301; size < 301 + 70; size += 1) expect((await pushCheckpoint(size - 1, size)).status).toBe(200);
    expect((await push({ start: 0, end: 300 })).status).toBe(409);
    expect((await push({ start: 0, end: 300, ticket: flip(ticket, 3) })).status).toBe(409);
    expect((await push({ start: 0, end: 300, ticket: flip(ticket, 60) })).status).toBe(409);
    expect((await push({ start: 0, end: 300, ticket })).status).toBe(200);
    expect(await mirrored()).toBe("300");
  });

  it("lets uploads of several clients interleave", async () => {
    await pushCheckpoint(0, 900);
    const statuses = await Promise.all([
      push({ start: 0, end: 900 }),
      push({ start: 0, end: 900 }, true),
      push({ start: 0, end: 900, packages: 2 }),
    ]);
    expect(statuses.map(({ status }) => status).toSorted()).toEqual([200, 200, 202]);
    expect(await mirrored()).toBe("900");
  });
});

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const changed = bytes.slice();
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

describe("the configuration of a mirror", () => {
  it("refuses an origin twice, keys of another name, and unknown members", () => {
    const good = {
      listen: {},
      data_dir: "d",
      key_files: ["k"],
      logs: [{ origin: ORIGIN, keys: [formatVerifierKey(logSigner.key)] }],
    };
    expect(parseReceiverConfig(good).logs).toHaveLength(1);
    const codes = [
      { ...good, logs: [...good.logs, ...good.logs] },
      { ...good, logs: [{ origin: "other", keys: good.logs[0]?.keys ?? [] }] },
      { ...good, more: 1 },
    ].map((each) => {
      try {
        parseReceiverConfig(each);
        return "accepted";
      } catch (error) {
        return error instanceof Error && "code" in error ? error.code : "?";
      }
    });
    expect(codes).toEqual(["ERR_CONFIG", "ERR_SHAPE", "ERR_SHAPE"]);
  });
});

/** A thread that answers when it is told to. */
class HeldThread extends EventEmitter implements SigningThread {
  readonly held: SigningRequest[] = [];
  readonly ref = (): void => undefined;
  readonly unref = (): void => undefined;
  readonly terminate = (): Promise<void> => Promise.resolve();

  postMessage(request: SigningRequest): void {
    this.held.push(request);
    this.emit("held");
  }
}

const readiness = async (): Promise<readonly [number, unknown]> => {
  const response = await fetch(`${mirror.url}/readyz`);
  return [response.status, await response.json()];
};

describe("a mirror whose key signs in a thread", () => {
  const slow = makeSignerKey("mirror.example/slow", 0x06, new Uint8Array(32).fill(34));
  let thread: HeldThread;

  beforeEach(async () => {
    await mirror.close();
    thread = new HeldThread();
    mirror = await start({ keys: [mirrorKey, slow], startSigningThread: () => thread });
  });

  it("serves meanwhile, says what waits, and publishes with the lines of all keys", async () => {
    expect((await pushCheckpoint(0, 600)).status).toBe(200);
    const isHeld = new Promise((resolve) => thread.once("held", resolve));
    const pushed = push({ start: 0, end: 600 });
    await isHeld;
    expect(await metric("countersign_mirror_signatures_waiting")).toBe("1");
    expect(await readiness()).toMatchObject([200, { logs: [{ size: 0, pending_size: 600, next_entry: 600 }] }]);
    expect(await mirrored()).toBeUndefined();
    const [request] = thread.held;
    thread.emit("message", answerSigning(makeCosigner(slow.name, 0x06, slow.seed), request as SigningRequest));
    expect((await pushed).status).toBe(200);
    const note = await (await fetch(`${mirror.url}/${HASH}/checkpoint`)).text();
    expect(openNote(note, [mirrorKey.verifierKey, slow.verifierKey, logSigner.key]).verified).toHaveLength(3);
    expect(await metric("countersign_mirror_signatures_waiting")).toBe("0");
  });

  it("is not ready once the thread is gone, and publishes nothing then", async () => {
    await pushCheckpoint(0, 600);
    thread.emit("exit", 1);
    expect(await readiness()).toMatchObject([503, { ready: false, fault: "ERR_SIGNING" }]);
    expect((await push({ start: 0, end: 600 })).status).toBeGreaterThanOrEqual(500);
    expect(await mirrored()).toBeUndefined();
    expect((await fetch(`${mirror.url}/healthz`)).status).toBe(200);
  });
});

const metric = async (name: string): Promise<string | undefined> => {
  const text = await (await fetch(`${mirror.url}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(name));
  return line?.split(" ").at(-1);
};

describe("what a mirror says of itself", () => {
  it("is how far each log is, and what it answered", async () => {
    const log = { origin: ORIGIN, size: 0, pending_size: 0, next_entry: 0, cosigned_at: null };
    expect(await readiness()).toEqual([200, { ready: true, logs: [log] }]);
    await pushCheckpoint(0, 600);
    await push({ start: 0, end: 600 });
    const cosigned = { origin: ORIGIN, size: 600, pending_size: 600, next_entry: 600, cosigned_at: 1_700_000_000 };
    expect(await readiness()).toEqual([200, { ready: true, logs: [cosigned] }]);
    await pushCheckpoint(600, 900);
    const label = `{log="${ORIGIN}"}`;
    expect(await metric(`countersign_mirror_size${label}`)).toBe("600");
    expect(await metric(`countersign_mirror_pending_size${label}`)).toBe("900");
    expect(await metric(`countersign_mirror_cosignature_age_seconds${label}`)).toBe("0");
    expect(await metric('countersign_mirror_answers_total{route="add-checkpoint",status="200"}')).toBe("2");
    expect(await metric('countersign_mirror_answers_total{route="add-entries",status="200"}')).toBe("1");
  });

  it("is a fault of its own until a request is answered again, and none of a client's", async () => {
    expect((await fetch(`${mirror.url}/add-entries`, { method: "POST", body: "nonsense" })).status).toBe(415);
    await pushCheckpoint(0, 600);
    expect((await push({ start: 0, end: 600, change: (body) => body.subarray(0, 40) })).status).toBe(400);
    expect((await readiness())[0]).toBe(200);
    const blocked = join(folder, HASH, "tile");
    await rm(blocked, { recursive: true, force: true });
    await writeFile(blocked, "");
    expect((await push({ start: 0, end: 600 })).status).toBeGreaterThanOrEqual(500);
    expect(await readiness()).toMatchObject([503, { ready: false, fault: expect.stringMatching(/^ERR_/u) }]);
    await rm(blocked);
    expect((await push({ start: 0, end: 600 })).status).toBe(200);
    expect((await readiness())[0]).toBe(200);
  });
});
