/**
 * What every storage driver of a log holds, said once: the same cases run over `files` (in the quick suite) and over
 * `postgres-s3` (npm run test:postgres-s3). They speak HTTP to a ledger and know of a driver only how to start one on a new
 * log, how to start it again, and how to make its store fail.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatUtf8 } from "../../../kernel/bytes.ts";
import { parseCheckpoint } from "../../../kernel/checkpoint/checkpoint.ts";
import { formatHex } from "../../../kernel/hex.ts";
import { checkLogProof, parseLogProof } from "../../../kernel/log-proof.ts";
import { hashLeaf } from "../../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../../kernel/merkle/prove.ts";
import { parseNote } from "../../../kernel/note/signed-note.ts";
import { formatVerifierKey } from "../../../kernel/note/verifier-key.ts";
import { checkLeafPromise, parseLeafPromise } from "../../../kernel/promise.ts";
import { tilesForSize } from "../../../kernel/tile/coordinates.ts";
import { formatEntryBundle, parseEntryBundle } from "../../../kernel/tile/entry-bundle.ts";
import { formatTilePath } from "../../../kernel/tile/path.ts";
import { parseWitnessPolicy } from "../../../kernel/witness-policy.ts";
import type { LedgerConfig } from "../../../ledger/config.ts";
import {
  errorCode,
  eventually,
  LEDGER_KEYS,
  LEDGER_ORIGIN,
  NO_WITNESSES,
  READ,
  SUBMIT,
} from "../../support/ledger-service.ts";
import { refusal, registrationOf, Submitter, segmentOf, tipOf } from "../../support/ledger-submitter.ts";
import { makeMemoryTree } from "../../support/memory-tree.ts";
import { gatewayKeys, type MadeStream, makeStream, receiptContents } from "../../support/receipts.ts";

/** A log of one driver under test. */
export interface ContractLog {
  /** Where it is served now. */
  readonly url: () => string;
  /** Closes and starts again on the same storage. */
  readonly restart: () => Promise<void>;
  /** From now on the storage takes nothing. */
  readonly breakStorage: () => Promise<void>;
  /** The storage works again; the ledger is started again if the driver wants that. */
  readonly mendStorage: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** Starts a ledger on a new, empty log. */
export type OpenContractLog = (config: Partial<LedgerConfig>) => Promise<ContractLog>;

const POLICY = parseWitnessPolicy(
  `${LEDGER_KEYS.map(({ verifierKey }) => `log ${formatVerifierKey(verifierKey)}\n`).join("")}${NO_WITNESSES}`,
);

/** Runs the contract over a driver. */
export function describeStorage(driver: string, open: OpenContractLog): void {
  describe(`a raw log on ${driver}`, () => rawCases(open));
  describe(`a log of receipts on ${driver}`, () => receiptCases(open));
  describe(`a log on ${driver} whose storage fails`, () => faultCases(open));
}

async function add(url: string, text: string): Promise<{ status: number; index: number; response: Response }> {
  const response = await fetch(`${url}/add`, { method: "POST", body: text, headers: SUBMIT });
  const index = response.status === 200 ? Number(await response.clone().text()) : -1;
  return { status: response.status, index, response };
}

/** Adds entries, some at a time; their indexes in the order of `texts`. */
async function addAll(url: string, texts: readonly string[]): Promise<readonly number[]> {
  const indexes: number[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next; i < texts.length; i = next) {
      next += 1;
      indexes[i] = (await add(url, texts[i] ?? "")).index;
    }
  };
  await Promise.all(Array.from({ length: 32 }, work));
  return indexes;
}

/** The checkpoint that is published, once it is of `size`. */
function published(url: string, size: number): Promise<string> {
  return eventually(async () => {
    const response = await fetch(`${url}/checkpoint`);
    const note = await response.text();
    if (response.status !== 200) return undefined;
    return parseCheckpoint(parseNote(note).text).size === BigInt(size) ? note : undefined;
  });
}

async function readBytes(url: string, path: string): Promise<Uint8Array> {
  const response = await fetch(`${url}/${path}`, { headers: READ });
  if (response.status !== 200) throw new Error(`${path}: status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Every entry of a log of `size`, read from its bundles. */
async function readEntries(url: string, size: number): Promise<readonly Uint8Array[]> {
  const entries: Uint8Array[] = [];
  for (const ref of tilesForSize(BigInt(size))) {
    if (ref.kind !== "entries") continue;
    entries.push(...parseEntryBundle(await readBytes(url, formatTilePath(ref)), ref.width));
  }
  return entries;
}

/** Checks bundles, tiles of every level, checkpoint and proofs byte for byte against a tree that is built here. */
async function checkWhole(url: string, size: number): Promise<readonly Uint8Array[]> {
  const note = await published(url, size);
  const entries = await readEntries(url, size);
  const tree = makeMemoryTree(entries.map(hashLeaf));
  expect(parseCheckpoint(parseNote(note).text).root).toEqual(tree.roots[size]);
  for (const ref of tilesForSize(BigInt(size))) {
    const bytes = await readBytes(url, formatTilePath(ref));
    if (ref.kind === "entries") {
      const first = Number(ref.index) * 256;
      expect(bytes).toEqual(formatEntryBundle(entries.slice(first, first + ref.width)));
      continue;
    }
    const level = ref.level * 8;
    const ids = Array.from({ length: ref.width }, (_, i) => ({ level, index: ref.index * 256n + BigInt(i) }));
    expect(bytes).toEqual(new Uint8Array(Buffer.concat(await tree.reader.readNodes(ids))));
  }
  for (const index of [0, 1, Math.floor(size / 2), size - 1]) {
    const text = await (await fetch(`${url}/log-proof/${index}?wait_ms=10000`)).text();
    const parsed = parseLogProof(text);
    const of = parseCheckpoint(parseNote(parsed.checkpoint).text).size;
    expect(parsed.proof).toEqual(await proveInclusion(BigInt(index), of, tree.reader));
    checkLogProof({ proof: parsed, entry: entries[index] ?? new Uint8Array(0), policy: POLICY });
  }
  return entries;
}

function rawCases(open: OpenContractLog): void {
  let log: ContractLog;
  beforeAll(async () => {
    log = await open({ log_kind: "raw" });
  });
  afterAll(() => log.remove());

  it("gives indexes without gap or double, and serves what a tree of the same entries gives, byte for byte", async () => {
    const texts = Array.from({ length: 600 }, (_, i) => `entry ${i}`);
    const indexes = await addAll(log.url(), texts);
    expect(indexes.toSorted((a, b) => a - b)).toEqual(texts.map((_, i) => i + 1));
    const entries = await checkWhole(log.url(), 601);
    for (const [i, index] of indexes.entries()) expect(entries[index]).toEqual(formatUtf8(texts[i] ?? ""));
  });

  it("gives equal bytes the index of the first, in flight at once and later", async () => {
    const before = (await add(log.url(), "the first")).index;
    expect(
      await addAll(
        log.url(),
        Array.from({ length: 40 }, () => "twice at once"),
      ),
    ).toEqual(Array.from({ length: 40 }, () => before + 1));
    expect((await add(log.url(), "the first")).index).toBe(before);
    expect((await add(log.url(), "entry 17")).index).toBeLessThan(601);
  });

  it("finds entries by their leaf hash, and proves them", async () => {
    const { index } = await add(log.url(), "by leaf");
    const leaf = formatHex(hashLeaf(formatUtf8("by leaf")));
    const text = await (await fetch(`${log.url()}/log-proof?leaf=${leaf}&wait_ms=10000`)).text();
    const proof = parseLogProof(text);
    expect(proof.index).toBe(BigInt(index));
    checkLogProof({ proof, entry: formatUtf8("by leaf"), policy: POLICY });
    expect((await fetch(`${log.url()}/log-proof?leaf=${"0".repeat(64)}`)).status).toBe(404);
  });

  it("promises an entry at the index that it answers", async () => {
    const response = await fetch(`${log.url()}/add?promise=1`, { method: "POST", body: "promised", headers: SUBMIT });
    const index = Number(await response.text());
    const bytes = Buffer.from(response.headers.get("countersign-promise") ?? "", "base64");
    const promise = parseLeafPromise(new Uint8Array(bytes));
    expect(promise.index).toBe(index);
    checkLeafPromise(
      promise,
      hashLeaf(formatUtf8("promised")),
      LEDGER_KEYS.map(({ verifierKey }) => verifierKey),
    );
  });

  it("refuses tiles that no signed checkpoint covers", async () => {
    const far = await fetch(`${log.url()}/tile/0/x001/000`);
    expect([far.status, await errorCode(far)]).toEqual([404, "ERR_TILE_PATH"]);
  });

  it("goes on after a restart with everything that it acknowledged", async () => {
    const { index } = await add(log.url(), "before the restart");
    await log.restart();
    expect((await add(log.url(), "before the restart")).index).toBe(index);
    expect((await add(log.url(), "entry 17")).index).toBeLessThan(601);
    expect((await add(log.url(), "after the restart")).index).toBe(index + 1);
    await checkWhole(log.url(), index + 2);
  });
}

function receiptCases(open: OpenContractLog): void {
  let log: ContractLog;
  let client: Submitter;
  let seed = 100;
  beforeAll(async () => {
    log = await open({ log_kind: "receipts" });
    client = new Submitter(log.url());
  });
  afterAll(() => log.remove());

  const openStream = (): Promise<MadeStream> => {
    seed += 2;
    return client.open(makeStream({ keys: gatewayKeys(seed), log: LEDGER_ORIGIN }));
  };
  const bytesAt = ({ receipts }: MadeStream, seq: number): Uint8Array => receipts[seq]?.bytes ?? new Uint8Array(0);
  const rivalAt = (stream: MadeStream, count: number): Uint8Array => {
    const { heartbeat } = receiptContents(stream.keys, LEDGER_ORIGIN);
    return makeStream({ keys: stream.keys, log: LEDGER_ORIGIN, count }).next(heartbeat).bytes;
  };

  it("registers a stream once, and refuses receipts of one that it does not know", async () => {
    const stream = await openStream();
    const again = await client.register(registrationOf(stream.keys, { label: "once more" }));
    expect(again.status).toBe(200);
    const stranger = makeStream({ keys: gatewayKeys(90), log: LEDGER_ORIGIN });
    expect(await client.receipt(bytesAt(stranger, 0))).toMatchObject({
      body: { error: { code: "ERR_STREAM_UNKNOWN" } },
    });
  });

  it("admits receipts and segments in the order of their stream, and the same ones again at their first places", async () => {
    const stream = await openStream();
    const first = await client.receipt(bytesAt(stream, 0));
    const index = (first.body as { readonly index: number }).index;
    const segment = await client.segment(segmentOf(stream, 1, 5));
    expect(segment).toMatchObject({ status: 200, body: { first_index: index + 1, count: 4, tip: tipOf(stream, 5) } });
    expect(await client.receipt(bytesAt(stream, 0))).toEqual(first);
    expect(await client.segment(segmentOf(stream, 1, 5))).toMatchObject({ body: { first_index: index + 1, count: 4 } });
    expect(await client.tip(stream.stream)).toMatchObject({ status: 200, body: tipOf(stream, 5) });
  });

  it("answers a gap with the tip", async () => {
    const stream = await openStream();
    expect(await client.receipt(bytesAt(stream, 2))).toMatchObject(
      refusal(409, "ERR_STREAM_GAP", { tip: { next_seq: 0 } }),
    );
    await client.segment(segmentOf(stream, 0, 2));
    expect(await client.receipt(bytesAt(stream, 4))).toMatchObject(
      refusal(409, "ERR_STREAM_GAP", { tip: tipOf(stream, 2) }),
    );
    expect(await client.segment(segmentOf(stream, 3, 5))).toMatchObject(
      refusal(409, "ERR_STREAM_GAP", { tip: tipOf(stream, 2) }),
    );
  });

  it("refuses a fork, and keeps it as evidence over a restart", async () => {
    const stream = await openStream();
    await client.segment(segmentOf(stream, 0, 4));
    expect(await client.receipt(rivalAt(stream, 2))).toMatchObject(
      refusal(409, "ERR_STREAM_FORK", { tip: tipOf(stream, 4) }),
    );
    const evidence = async (): Promise<string> =>
      (await fetch(`${log.url()}/evidence/streams/${stream.stream}`, { headers: READ })).text();
    const shown = await evidence();
    expect(shown.trimEnd().split("\n")).toHaveLength(1);
    expect(JSON.parse(shown)).toMatchObject({ kind: "stream-fork" });
    await log.restart();
    client = new Submitter(log.url());
    expect(await evidence()).toBe(shown);
  });

  it("refuses what follows a close", async () => {
    const stream = await openStream();
    await client.segment(segmentOf(stream, 0, stream.receipts.length));
    const { heartbeat } = receiptContents(stream.keys, LEDGER_ORIGIN);
    expect(await client.receipt(stream.next(heartbeat).bytes)).toMatchObject(refusal(409, "ERR_STREAM_CLOSED"));
  });

  it("knows its streams after a restart", async () => {
    const stream = await openStream();
    await client.segment(segmentOf(stream, 0, 3));
    await log.restart();
    client = new Submitter(log.url());
    expect(await client.tip(stream.stream)).toMatchObject({ status: 200, body: tipOf(stream, 3) });
    expect(await client.receipt(bytesAt(stream, 4))).toMatchObject(refusal(409, "ERR_STREAM_GAP"));
    expect((await client.segment(segmentOf(stream, 3, 6))).status).toBe(200);
  });

  it("admits one of several segments that race for the same place, and the same segment any number of times", async () => {
    const stream = await openStream();
    await client.segment(segmentOf(stream, 0, 2));
    const answers = await Promise.all(Array.from({ length: 8 }, () => client.segment(segmentOf(stream, 2, 6))));
    expect(new Set(answers.map((each) => JSON.stringify(each))).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 200, body: { tip: tipOf(stream, 6) } });
  });
}

function faultCases(open: OpenContractLog): void {
  it("answers 503 while it fails, acknowledges nothing that it loses, and goes on without a gap", async () => {
    const log = await open({ log_kind: "raw" });
    try {
      const kept = (await add(log.url(), "kept")).index;
      await published(log.url(), kept + 1);
      await log.breakStorage();
      for (const text of ["lost 1", "lost 2"]) {
        const { status, response } = await add(log.url(), text);
        expect([status, response.headers.get("retry-after")]).toEqual([503, "1"]);
      }
      await log.mendStorage();
      const size = await eventually(async () => {
        const { status, index } = await add(log.url(), "lost 1");
        return status === 200 ? index + 1 : undefined;
      });
      expect((await add(log.url(), "kept")).index).toBe(kept);
      const entries = await checkWhole(log.url(), (await add(log.url(), "behind")).index + 1);
      expect(entries.length).toBeGreaterThanOrEqual(size);
      expect(new Set(entries.map((entry) => formatHex(hashLeaf(entry)))).size).toBe(entries.length);
    } finally {
      await log.remove();
    }
  });
}
