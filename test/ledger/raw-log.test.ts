import { chmod, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { parseGenesis } from "../../kernel/genesis.ts";
import { formatHex } from "../../kernel/hex.ts";
import { checkLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { checkConsistency } from "../../kernel/merkle/consistency-proof.ts";
import { hashLeaf, type RootHash } from "../../kernel/merkle/hash.ts";
import { proveConsistency, readRoot } from "../../kernel/merkle/prove.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../kernel/tile/tile-reader.ts";
import { openLogCheckpoint, parseWitnessPolicy, type WitnessPolicy } from "../../kernel/witness-policy.ts";
import { START_PHASES } from "../../ledger/recovery/start-times.ts";
import {
  errorCode,
  eventually,
  LEDGER_KEYS,
  makeDataDir,
  NO_WITNESSES,
  READ,
  removeLedgers,
  SUBMIT,
  startTestLedger,
  type TestLedger,
} from "../support/ledger-service.ts";
import { rawBatchBody } from "../support/raw-batches.ts";

const KEYS = LEDGER_KEYS.map(({ verifierKey }) => verifierKey);
const POLICY: WitnessPolicy = parseWitnessPolicy(
  `${KEYS.map((key) => `log ${formatVerifierKey(key)}`).join("\n")}\n${NO_WITNESSES}`,
);

async function bytesOf(response: Response): Promise<Uint8Array> {
  expect(response.status).toBe(200);
  return new Uint8Array(await response.arrayBuffer());
}

async function add(ledger: TestLedger, text: string): Promise<number> {
  const response = await ledger.post("/add", text, SUBMIT);
  expect(response.status).toBe(200);
  return Number(await response.text());
}

/** The published checkpoint, once it covers `size` entries. */
async function published(ledger: TestLedger, size: number): Promise<{ size: bigint; root: RootHash }> {
  return eventually(async () => {
    const response = await ledger.get("/checkpoint");
    if (response.status !== 200) return undefined;
    const { checkpoint } = openLogCheckpoint(await response.text(), KEYS);
    return checkpoint.size >= BigInt(size) ? checkpoint : undefined;
  });
}

describe("a raw log over HTTP", () => {
  let ledger: TestLedger;
  const entries = Array.from({ length: 600 }, (_, i) => `entry ${i}`);

  beforeAll(async () => {
    ledger = await startTestLedger();
    const indexes = await Promise.all(entries.map((text) => add(ledger, text)));
    expect(new Set(indexes).size).toBe(entries.length);
    await add(ledger, "twice");
  });
  afterAll(() => removeLedgers([ledger]));

  it("gives an entry sent again its first index, also when both are in flight", async () => {
    const [a, b, ...others] = await Promise.all(Array.from({ length: 20 }, () => add(ledger, "twice")));
    expect(new Set([a, b, ...others]).size).toBe(1);
    expect(await add(ledger, "twice")).toBe(a);
  });

  it("is read back through tiles alone: every entry, the root of the checkpoint, the genesis first", async () => {
    const { size, root } = await published(ledger, entries.length + 2);
    const reader = makeTileHashReader(size, async (ref) => bytesOf(await ledger.get(`/${formatTilePath(ref)}`)));
    expect(await readRoot(size, reader)).toEqual(root);
    const texts: string[] = [];
    for (let index = 0n; index * 256n < size; index += 1n) {
      const width = Math.min(256, Number(size - index * 256n));
      const bundle = await bytesOf(await ledger.get(`/${formatTilePath({ kind: "entries", index, width })}`, READ));
      texts.push(...parseEntryBundle(bundle, width).map((entry) => Buffer.from(entry).toString()));
    }
    expect(parseGenesis(formatUtf8(texts[0] ?? ""))).toMatchObject({ kind: "log-genesis", log_kind: "raw" });
    expect(texts.slice(1).toSorted()).toEqual([...entries, "twice"].toSorted());
  });

  it("publishes only checkpoints that are consistent with all earlier ones", async () => {
    const heads: { size: bigint; root: RootHash }[] = [];
    for (let i = 0; i < 12; i += 1) {
      await add(ledger, `more ${i}`);
      heads.push(await published(ledger, entries.length + 3 + i));
    }
    const [newest] = heads.slice(-1);
    if (newest === undefined) throw new Error("no head");
    const read = async (ref: TileRef): Promise<Uint8Array> => bytesOf(await ledger.get(`/${formatTilePath(ref)}`));
    for (const [i, old] of heads.entries()) {
      for (const next of heads.slice(i)) {
        const proof = await proveConsistency(old.size, next.size, makeTileHashReader(next.size, read));
        checkConsistency({ oldSize: old.size, oldRoot: old.root, size: next.size, root: next.root, proof });
      }
    }
  });

  it("proves an entry by index and by leaf hash", async () => {
    const entry = formatUtf8("entry 77");
    await published(ledger, entries.length + 1);
    const byLeaf = await ledger.get(`/log-proof?leaf=${formatHex(hashLeaf(entry))}`);
    expect(byLeaf.headers.get("countersign-proof-state")).toBe("cosigned");
    const proof = parseLogProof(await byLeaf.text());
    checkLogProof({ proof, entry, policy: POLICY });
    const byIndex = await ledger.get(`/log-proof/${proof.index}`);
    checkLogProof({ proof: parseLogProof(await byIndex.text()), entry, policy: POLICY });
  });

  it("waits with a proof until the entry is published", async () => {
    const index = await add(ledger, "just now");
    const response = await ledger.get(`/log-proof/${index}?wait_ms=5000`);
    checkLogProof({ proof: parseLogProof(await response.text()), entry: formatUtf8("just now"), policy: POLICY });
  });

  it("serves one name a tile, immutable, and no tile that no checkpoint covers", async () => {
    const { size } = await published(ledger, 257);
    const full = await ledger.get("/tile/0/000");
    expect(full.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(full.headers.get("content-type")).toBe("application/octet-stream");
    expect((await bytesOf(full)).length).toBe(8192);
    expect((await bytesOf(await ledger.get("/tile/0/000.p/7"))).length).toBe(7 * 32);
    const width = Number(size % 256n);
    const refused = [
      "/tile/0/0", "/tile/00/000", "/tile/0/x000/000", "/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/000.p/07",
      "/tile/0/%30%30%30", "/tile/0/000?x", "/tile/0/000/", "/tile/64/000", "/tile/3/000", "/tile/0/999", "/tile/1/000",
      `/tile/0/${String(size / 256n).padStart(3, "0")}`, `/tile/0/${String(size / 256n).padStart(3, "0")}.p/${width + 40}`,
      "/tile/entries/x000/000", "/TILE/0/000", "//tile/0/000",
    ]; // biome-ignore format: a list of spellings
    for (const path of refused) {
      const response = await ledger.get(path, READ);
      expect([path, response.status]).toEqual([path, 404]);
    }
  });

  it("gives entries to reader tokens only, and hashes to everybody", async () => {
    const refused = await ledger.get("/tile/entries/000");
    expect([refused.status, await errorCode(refused)]).toEqual([401, "ERR_TOKEN"]);
    expect((await ledger.get("/tile/entries/000", { authorization: "Bearer wrong" })).status).toBe(401);
    expect((await ledger.get("/tile/entries/000", SUBMIT)).status).toBe(401);
    expect((await ledger.get("/tile/entries/000", READ)).headers.get("cache-control")).toMatch(/^private/);
  });

  it("tells what it is, and how it does", async () => {
    const metadata: unknown = await (await ledger.get("/metadata")).json();
    expect(metadata).toMatchObject({ origin: "ledger.example/test", log_kind: "raw", readers: "token" });
    expect(metadata).toMatchObject({ keys: KEYS.map(formatVerifierKey), witness_policy: NO_WITNESSES });
    expect((await ledger.get("/healthz")).status).toBe(200);
    expect(await (await ledger.get("/readyz")).json()).toMatchObject({
      ready: true,
      quorum_age_seconds: expect.any(Number),
    });
    expect(await (await ledger.get("/metrics")).text()).toMatch(/^ledger_entries_total [1-9]/m);
  });

  it.each([
    ["no token", "/add", "x", {}, 401, "ERR_TOKEN"],
    ["a wrong token", "/add", "x", { authorization: "Bearer nope" }, 401, "ERR_TOKEN"],
    ["a reader's token", "/add", "x", READ, 401, "ERR_TOKEN"],
    ["another scheme", "/add", "x", { authorization: "Basic abc" }, 401, "ERR_TOKEN"],
    ["an empty entry", "/add", "", SUBMIT, 400, "ERR_ENTRY_LENGTH"],
    ["an entry above 65,535 bytes", "/add", "x".repeat(65_536), SUBMIT, 413, "ERR_BODY_SIZE"],
    ["a body of 10 MB", "/add", "x".repeat(10_000_000), SUBMIT, 413, "ERR_BODY_SIZE"],
    ["a route that is not there", "/nowhere", "x", SUBMIT, 404, "ERR_NOT_FOUND"],
    ["a receipt", "/receipts", "{}", { "content-type": "application/json" }, 404, "ERR_LOG_KIND"],
    ["a registration", "/register", "{}", { ...SUBMIT, "content-type": "application/json" }, 404, "ERR_LOG_KIND"],
  ])("refuses %s with a code, and goes on", async (_, path, body, headers, status, code) => {
    const response = await ledger.post(path, body, headers);
    expect([response.status, await errorCode(response)]).toEqual([status, code]);
    expect((await ledger.get("/readyz")).status).toBe(200);
  });

  it.each([
    ["/log-proof/999999", 404, "ERR_ENTRY_UNKNOWN"],
    ["/log-proof/-1", 400, "ERR_DECIMAL"],
    ["/log-proof/007", 400, "ERR_DECIMAL"],
    ["/log-proof/18446744073709551616", 400, "ERR_DECIMAL"],
    ["/log-proof", 400, "ERR_REQUEST"],
    ["/log-proof?leaf=00", 400, "ERR_HEX"],
    [`/log-proof?leaf=${"0".repeat(64)}`, 404, "ERR_ENTRY_UNKNOWN"],
    ["/log-proof/1?wait_ms=30001", 400, "ERR_REQUEST"],
    ["/log-proof/1?wait_ms=x", 400, "ERR_DECIMAL"],
    ["/log-proof/1?state=maybe", 400, "ERR_REQUEST"],
    ["/log-proof/1?more=1", 400, "ERR_REQUEST"],
    ["/log-proof/1?state=logged&state=logged", 400, "ERR_REQUEST"],
  ])("answers GET %s with %i %s", async (path, status, code) => {
    const response = await ledger.get(path);
    expect([response.status, await errorCode(response)]).toEqual([status, code]);
  });

  it("answers bytes that are not HTTP, and goes on", async () => {
    const { port } = new URL(ledger.url);
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), "127.0.0.1", () => socket.end("\u0000\u0001 not http\r\n\r\n"));
      let text = "";
      socket.on("data", (chunk) => {
        text += String(chunk);
      });
      socket.on("close", () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1.1 400/);
    expect((await ledger.get("/readyz")).status).toBe(200);
  });

  it("takes many entries at once, each once, and says where each is; promises too", async () => {
    const texts = ["batch a", "entry 7", "batch b", "batch b", "batch c"];
    const body = rawBatchBody(texts.map(formatUtf8));
    const headers = { ...SUBMIT, "content-type": "application/octet-stream" };
    const answer: unknown = await (await ledger.post("/add-batch?promise=1", body, headers)).json();
    const first = await add(ledger, "batch a");
    const seventh = await add(ledger, "entry 7");
    expect(answer).toMatchObject({
      first_index: first,
      count: 5,
      known: [
        { place: 1, index: seventh },
        { place: 3, index: first + 1 },
      ],
    });
    expect([await add(ledger, "batch b"), await add(ledger, "batch c")]).toEqual([first + 1, first + 2]);
    const promises = [first, seventh, first + 1, first + 1].map((at) => ({ first_index: at }));
    expect(answer).toMatchObject({ promises });
    for (const [bad, code] of [
      [body.subarray(0, body.length - 1), "ERR_BUNDLE_LENGTH"],
      [new Uint8Array(2), "ERR_ENTRY_LENGTH"],
    ] as const) {
      const refused = await ledger.post("/add-batch", bad, headers);
      expect([refused.status, await errorCode(refused)]).toEqual([400, code]);
    }
    expect((await ledger.post("/add-batch", body, { "content-type": "application/octet-stream" })).status).toBe(401);
  });
});

describe("the folder of a log", () => {
  it("is refused to a second process, and open again after a close with everything in it", async () => {
    const first = await startTestLedger();
    const index = await add(first, "kept");
    await expect(startTestLedger({ dataDir: first.dataDir })).rejects.toMatchObject({ code: "ERR_FOLDER_LOCKED" });
    expect(await add(first, "still works")).toBe(index + 1);
    await first.close();
    const second = await startTestLedger({ dataDir: first.dataDir });
    expect(await add(second, "kept")).toBe(index);
    // Until then it shows what the first one published, which may not have both entries yet.
    expect((await published(second, 3)).size).toBe(3n);
    await removeLedgers([second]);
  });

  it("is made for its own user alone, and used with a warning where others can enter it", async () => {
    const parent = await makeDataDir();
    const dataDir = join(parent, "log");
    const first = await startTestLedger({ dataDir });
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
    expect(first.lines.filter(({ level }) => level === "warn")).toEqual([]);
    await first.close();
    await chmod(dataDir, 0o750);
    const second = await startTestLedger({ dataDir });
    expect(second.lines).toContainEqual(
      expect.objectContaining({ level: "warn", fields: { data_dir: dataDir, mode: "750" } }),
    );
    await removeLedgers([second]);
    await rm(parent, { recursive: true });
  });

  it("says how long each phase of its start took, in the log and as metrics", async () => {
    const ledger = await startTestLedger();
    const fields = ledger.lines.find(({ message }) => message === "the log was derived from disk")?.fields;
    expect(fields).toMatchObject({ walEntries: 0, indexedEntries: 0 });
    const text = await (await ledger.get("/metrics")).text();
    for (const phase of START_PHASES) expect(text).toContain(`ledger_start_seconds{phase="${phase}"}`);
    expect(text).toMatch(/^ledger_wal_entries 1$/mu);
    await removeLedgers([ledger]);
  });

  it("is refused to a configuration that is not that of its genesis", async () => {
    const first = await startTestLedger();
    await first.close();
    const start = (config: object): Promise<TestLedger> => startTestLedger({ dataDir: first.dataDir, config });
    await expect(start({ log_kind: "receipts" })).rejects.toMatchObject({ code: "ERR_GENESIS_MISMATCH" });
    await expect(start({ admission: { software_evidence: "refuse" } })).rejects.toMatchObject({
      code: "ERR_GENESIS_MISMATCH",
    });
    await removeLedgers([await start({})]);
  });
});
