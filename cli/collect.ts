/**
 * Collects an evidence bundle from a ledger: a window of a stream with everything that a verdict about it needs, under one
 * witnessed checkpoint. The proofs are made here from the public hash tiles, and checked before they are written.
 *
 * The read path has no index of streams, so entry bundles are scanned from the stream's registration on: the work is
 * linear in the entries that the log took since then. Policies and catalogs are disclosed only when they are given.
 */

import { readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { type BundleCatalog, type BundleEntry, type BundlePolicy, formatBundle } from "../kernel/bundle.ts";
import { parseUtf8 } from "../kernel/bytes.ts";
import { CheckError, FormatError, StoreError } from "../kernel/errors.ts";
import { canonicalBytes, parseCanonical } from "../kernel/json/canonical.ts";
import { parseJson } from "../kernel/json/parse.ts";
import { isJsonObject } from "../kernel/json/value.ts";
import { checkLogStatus, trustedKeys } from "../kernel/lifecycle/log-status.ts";
import { isSameKey } from "../kernel/lifecycle/statement.ts";
import { hashLeaf, type NodeHash } from "../kernel/merkle/hash.ts";
import type { NodeId } from "../kernel/merkle/node-id.ts";
import { type HashReader, proveInclusion } from "../kernel/merkle/prove.ts";
import type { VerifierKey } from "../kernel/note/verifier-key.ts";
import { digestFile, policyDigest } from "../kernel/policy-manifest.ts";
import { type Hex64, versionShape } from "../kernel/receipt/fields.ts";
import { observedValue } from "../kernel/receipt/observed.ts";
import type { StreamReceipt } from "../kernel/receipt/receipt.ts";
import { object, readShape } from "../kernel/shape.ts";
import { formatTilePath, TILE_WIDTH } from "../kernel/tile/path.ts";
import { makeTileHashReader, type ReadTile } from "../kernel/tile/tile-reader.ts";
import type { Timestamp } from "../kernel/time.ts";
import {
  openWitnessedCheckpoint,
  parseWitnessPolicy,
  type WitnessedCheckpoint,
  type WitnessPolicy,
} from "../kernel/witness-policy.ts";
import { makeInclusionChecker } from "../verifier/inclusion.ts";
import { readBytes } from "./files.ts";
import { type LogReader, makeLogReader } from "./log-reader.ts";
import { type ScannedReceipt, StreamScan, type WindowWish } from "./stream-scan.ts";

/** What to collect, and from where. */
export type CollectOptions = WindowWish & {
  readonly ledgerUrl: string;
  /** A reader's token of the ledger. */
  readonly readerToken: string;
  /** C2SP tlog-policy text that names the log; the checkpoint must pass under it. */
  readonly witnessPolicy: string;
  readonly stream: Hex64;
  /** Folder of the policy to disclose: `policy.json`, `*.cedar` and `*.rules.json` files. */
  readonly policyFolder?: string;
  /** Catalog file to disclose. */
  readonly catalogFile?: string;
  /** When the bundle is made, by the caller's clock. */
  readonly created: Timestamp;
  readonly fetch?: typeof fetch;
  /** Called as entries are read and proofs are made. */
  readonly onProgress?: (done: number, total: number) => void;
  /** How long to wait for a witnessed checkpoint over the last wished receipt; default 10 s. */
  readonly waitMs?: number;
};

const DEFAULT_WAIT_MS = 10_000;
const POLL_MS = 100;
/** Entry bundles that are asked for at the same time. */
const READ_AHEAD = 8;

/**
 * The bytes of the bundle.
 *
 * @throws {StoreError} ERR_SERVICE_ANSWER (the ledger), ERR_PROOF_LATE (the last receipt is not witnessed in time),
 *   ERR_FILE_READ (policy, catalog)
 * @throws {FormatError} ERR_STREAM_GAP (no such receipts), ERR_POLICY_DIGEST, ERR_CATALOG_DIGEST (files that no receipt of
 *   the window names), as `parseWitnessPolicy`
 * @throws {CheckError} as `openWitnessedCheckpoint`; ERR_ROOT_MISMATCH (entries that are not those of the checkpoint)
 */
export async function collectBundle(options: CollectOptions): Promise<Uint8Array> {
  const { ledgerUrl: url, readerToken: token, stream } = options;
  const policy = parseWitnessPolicy(options.witnessPolicy);
  const reader = makeLogReader({ url, token, ...(options.fetch === undefined ? {} : { fetch: options.fetch }) });
  const { registered_index: registered, next_seq: nextSeq } = await reader.readTip(stream);
  checkWish(options, nextSeq);
  const told = await readStatements(reader, policy);
  const { scan, checkpoint, note, registration } = await scanLog(
    reader,
    { policy, keys: told.keys },
    registered,
    options,
  );
  const receipts = [...scan.context, ...scan.window];
  const found: readonly FoundEntry[] = [...told.entries, registration, ...receipts];
  const [first, last] = [scan.window[0], scan.window.at(-1)];
  if (first === undefined || last === undefined) throw missing("the log holds none of the wished receipts");
  return formatBundle({
    created: options.created,
    logs: [
      {
        origin: checkpoint.checkpoint.origin,
        checkpoint: note,
        entries: await prove(found, checkpoint, reader, options),
      },
    ],
    streams: [{ stream, first_seq: first.receipt.seq, last_seq: last.receipt.seq }],
    policies: options.policyFolder === undefined ? [] : [readPolicy(options.policyFolder, receipts)],
    catalogs: options.catalogFile === undefined ? [] : [readCatalog(options.catalogFile, receipts)],
  });
}

/** An entry with its bytes and its value. */
type FoundEntry = Pick<ScannedReceipt, "index" | "bytes" | "value">;

/** What the log has said of itself, with the genesis entry that it starts from, and the keys that it leads to. */
interface Told {
  readonly entries: readonly FoundEntry[];
  readonly keys: readonly VerifierKey[];
}

/** A log that has said nothing of itself leads to no other keys than those of the policy. @throws as `checkLogStatus` */
async function readStatements(reader: LogReader, policy: WitnessPolicy): Promise<Told> {
  const document = await reader.readStatus();
  if (document === undefined || document.statements.length === 0) return { entries: [], keys: [] };
  const pinned = policy.logs.map(({ key }) => key);
  const { state } = checkLogStatus(document, policy);
  const keys = trustedKeys(state, pinned).filter((key) => !pinned.some((pin) => isSameKey(pin, key)));
  const entries = [document.genesis, ...document.statements].map(({ index, entry }) => ({
    index,
    bytes: canonicalBytes(entry),
    value: entry,
  }));
  return { entries, keys };
}

interface ScannedLog {
  readonly scan: StreamScan;
  readonly checkpoint: WitnessedCheckpoint;
  readonly note: string;
  readonly registration: FoundEntry;
}

function checkWish(wish: WindowWish, nextSeq: number): void {
  if (!("firstSeq" in wish)) return;
  const { firstSeq, lastSeq = firstSeq } = wish;
  if (lastSeq < firstSeq) throw missing(`want a last seq that is not below the first, got ${firstSeq} to ${lastSeq}`);
  if (lastSeq >= nextSeq) throw missing(`the log holds ${nextSeq} receipts of the stream, not receipt ${lastSeq}`);
}

/** Reads on, under newer checkpoints if need be, until the wished end was seen or cannot be waited for. */
async function scanLog(
  reader: LogReader,
  { policy, keys }: { readonly policy: WitnessPolicy; readonly keys: readonly VerifierKey[] },
  registered: number,
  options: CollectOptions,
): Promise<ScannedLog> {
  const scan = new StreamScan(options.stream, options);
  const deadline = performance.now() + (options.waitMs ?? DEFAULT_WAIT_MS);
  let registration: FoundEntry | undefined;
  let next = registered;
  for (;;) {
    const note = await reader.readCheckpoint();
    const checkpoint = openWitnessedCheckpoint(note, policy, keys);
    const size = sizeOf(checkpoint);
    await readFrom(reader, next, size, (index, bytes) => {
      if (index === registered) registration = foundEntry(index, bytes);
      scan.take(index, bytes);
      options.onProgress?.(index - registered, size - registered);
      return scan.isDone;
    });
    next = Math.max(next, size);
    if (registration !== undefined && (scan.isDone || !hasEnd(options)))
      return { scan, checkpoint, note, registration };
    if (performance.now() >= deadline) throw late();
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** True if the wish says where it ends. An unsealed session has no end to wait for. */
function hasEnd(wish: WindowWish): boolean {
  return "firstSeq" in wish && wish.lastSeq !== undefined;
}

function sizeOf({ checkpoint }: WitnessedCheckpoint): number {
  const size = Number(checkpoint.size);
  if (!Number.isSafeInteger(size)) throw new FormatError("ERR_SIZE_RANGE", "the log is larger than this program reads");
  return size;
}

/** Hands over the entries from index `first` on, in order, until `take` has seen enough. */
async function readFrom(
  reader: LogReader,
  first: number,
  size: number,
  take: (index: number, bytes: Uint8Array) => boolean,
): Promise<void> {
  const pending: Promise<readonly Uint8Array[]>[] = [];
  const lastBundle = Math.ceil(size / TILE_WIDTH);
  let [asked, isDone] = [Math.floor(first / TILE_WIDTH), false];
  for (let bundle = asked; bundle < lastBundle && !isDone; bundle += 1) {
    for (; asked < lastBundle && asked < bundle + READ_AHEAD; asked += 1) {
      const reading = reader.readEntries(asked, Math.min(TILE_WIDTH, size - asked * TILE_WIDTH));
      // One that fails after the scan has ended is nobody's concern; awaited below, it still throws.
      reading.catch(() => undefined);
      pending.push(reading);
    }
    const entries = (await pending.shift()) ?? [];
    const skip = Math.max(0, first - bundle * TILE_WIDTH);
    isDone = entries.slice(skip).some((bytes, i) => take(bundle * TILE_WIDTH + skip + i, bytes));
  }
}

function foundEntry(index: number, bytes: Uint8Array): FoundEntry {
  const value = parseCanonical(bytes);
  if (isJsonObject(value)) return { index, bytes, value };
  throw new StoreError("ERR_SERVICE_ANSWER", "the entry at the stream's registration is no registration");
}

/** Proves each entry, ascending by index, and checks each proof. */
async function prove(
  found: readonly FoundEntry[],
  { checkpoint }: WitnessedCheckpoint,
  reader: LogReader,
  { onProgress }: CollectOptions,
): Promise<readonly BundleEntry[]> {
  const { size, root } = checkpoint;
  const nodes = cachedNodes(makeTileHashReader(size, cachedTiles(reader.readTile)));
  const check = makeInclusionChecker(root, size);
  const entries: BundleEntry[] = [];
  for (const { index, bytes, value } of found.toSorted((a, b) => a.index - b.index)) {
    const proof = await proveInclusion(BigInt(index), size, nodes);
    check(hashLeaf(bytes), index, proof);
    entries.push({ index, entry: value, proof });
    onProgress?.(entries.length, found.length);
  }
  return entries;
}

function cachedTiles(readTile: ReadTile): ReadTile {
  const tiles = new Map<string, Promise<Uint8Array>>();
  return (ref) => {
    const path = formatTilePath(ref);
    const tile = tiles.get(path) ?? readTile(ref);
    tiles.set(path, tile);
    return tile;
  };
}

/** Neighbours share their path: a node between two tile levels is hashed out of its tile once. */
function cachedNodes(reader: HashReader): HashReader {
  const known = new Map<string, NodeHash>();
  const nameOf = ({ level, index }: NodeId): string => `${level}/${index}`;
  const readNodes = async (ids: readonly NodeId[]): Promise<readonly NodeHash[]> => {
    const fresh = ids.filter((id) => !known.has(nameOf(id)));
    const hashes = fresh.length === 0 ? [] : await reader.readNodes(fresh);
    for (const [i, hash] of hashes.entries()) {
      const id = fresh[i];
      if (id !== undefined) known.set(nameOf(id), hash);
    }
    return ids.flatMap((id) => known.get(nameOf(id)) ?? []);
  };
  return { readNodes };
}

function readPolicy(folder: string, receipts: readonly ScannedReceipt[]): BundlePolicy {
  const files = policyFiles(folder).map((path) => ({ path, content: parseUtf8(readBytes(join(folder, path))) }));
  const description = files.find(({ path }) => path === "policy.json");
  if (description === undefined) throw new FormatError("ERR_POLICY_BUNDLE", `${folder}: want a file policy.json`);
  const shape = object<{ readonly version: string }>({ version: versionShape });
  const { version } = readShape(shape, parseJson(description.content), join(folder, "policy.json"));
  const manifest = files.map(({ path, content }) => ({ path, digest: digestFile(content) }));
  const digest = policyDigest(version, manifest);
  const named = new Set(receipts.flatMap(({ receipt }) => policyOf(receipt) ?? []));
  if (named.has(digest)) return { digest, version, files };
  throw new CheckError("ERR_POLICY_DIGEST", `${folder} holds ${digest}, the receipts name ${[...named].join(", ")}`);
}

/** Paths of `policy.json` and of every `*.cedar` and `*.rules.json` file below the folder, with forward slashes, sorted. */
function policyFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
      .filter((path) => path === "policy.json" || path.endsWith(".cedar") || path.endsWith(".rules.json"))
      .sort();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("ERR_FILE_READ", `cannot read ${folder}: ${why}`, { cause });
  }
}

function readCatalog(path: string, receipts: readonly ScannedReceipt[]): BundleCatalog {
  const content = parseJson(readBytes(path), { maxBytes: Number.MAX_SAFE_INTEGER });
  const digest = digestFile(canonicalBytes(content));
  const named = new Set(receipts.flatMap(({ receipt }) => catalogOf(receipt) ?? []));
  if (named.has(digest)) return { digest, content };
  throw new CheckError("ERR_CATALOG_DIGEST", `${path} is ${digest}, the receipts name ${[...named].join(", ")}`);
}

function policyOf(receipt: StreamReceipt): string | undefined {
  if (receipt.kind === "policy-load") return receipt.policy.digest;
  return receipt.kind === "decision" ? observedValue(receipt.policy)?.digest : undefined;
}

function catalogOf(receipt: StreamReceipt): string | undefined {
  if (receipt.kind === "catalog-load") return receipt.catalog.digest;
  return receipt.kind === "decision" ? observedValue(receipt.catalog)?.digest : undefined;
}

function missing(why: string): FormatError {
  return new FormatError("ERR_STREAM_GAP", why);
}

function late(): StoreError {
  return new StoreError(
    "ERR_PROOF_LATE",
    "the last wished receipt is under no witnessed checkpoint yet; try again later",
  );
}
