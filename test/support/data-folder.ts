/** Makes data folders of small logs on the real disk, as a ledger leaves them, without its HTTP server. */

import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { makeCosigner } from "../../kernel/checkpoint/note-signer.ts";
import { type LogKind, makeGenesis } from "../../kernel/genesis.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { formatNote } from "../../kernel/note/signed-note.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { type AdmitParts, admit } from "../../ledger/admission/admit.ts";
import { readSegment, readSingle } from "../../ledger/admission/candidates.ts";
import { admitSegment } from "../../ledger/admission/continue.ts";
import { register } from "../../ledger/admission/register.ts";
import { StreamBook } from "../../ledger/admission/stream-book.ts";
import { Checkpointer } from "../../ledger/checkpoint/checkpointer.ts";
import { Publisher } from "../../ledger/checkpoint/publisher.ts";
import { makeInlineSigner } from "../../ledger/checkpoint/signing.ts";
import { Halt } from "../../ledger/halt.ts";
import { LeafTables } from "../../ledger/leaves/leaf-tables.ts";
import { makeInlineTableMaker } from "../../ledger/leaves/table-thread.ts";
import { replayAll, StatementBook } from "../../ledger/lifecycle/statement-book.ts";
import { type Log, openLog } from "../../ledger/log.ts";
import { makeInlineReader } from "../../ledger/reading/reader.ts";
import type { IndexRow } from "../../ledger/sequence/index-store.ts";
import { openLevelIndex } from "../../ledger/sequence/level-index.ts";
import { makeNodeDisk } from "../../ledger/storage/node-disk.ts";
import { NO_CHECKS } from "./no-checks.ts";

export const FOLDER_ORIGIN: string = "folder.example/log";

/** Policy of the one witness that cosigns what these folders publish. */
const witness = makeCosigner("witness.example/folder", 0x04, new Uint8Array(32).fill(91));
export const FOLDER_POLICY: string = `witness w ${formatVerifierKey(witness.key)}\nquorum w\n`;

const LIMITS = { maxQueuedEntries: 1 << 20, maxQueuedBytes: 1 << 28, maxBatchEntries: 4096, maxBatchBytes: 1 << 23 };
const CLOCK = { nowMs: (): number => 1_700_000_000_000 };
const SEEDS = { origin: FOLDER_ORIGIN, ed25519: new Uint8Array(32).fill(71), mlDsa44: new Uint8Array(32).fill(72) };
const OPERATOR = createSigner("ed25519", new Uint8Array(32).fill(73));

/** A log that is open on a folder. */
export interface FolderLog {
  readonly log: Log;
  readonly register: (registration: Uint8Array) => Promise<void>;
  readonly addReceipt: (receipt: Uint8Array) => Promise<void>;
  readonly addSegment: (segment: Uint8Array) => Promise<void>;
  readonly addRaw: (texts: readonly string[]) => Promise<void>;
  /** Signs the newest head and publishes it with the witness's cosignature. */
  readonly publish: () => Promise<string>;
  readonly close: () => Promise<void>;
}

/** A folder that is removed by `remove`. */
export async function makeFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "countersign-folder-"));
}

/** Opens the log of a folder, a new one if it is empty. */
export async function openFolderLog(dataDir: string, kind: LogKind, fileBytes = 16_384): Promise<FolderLog> {
  const signer = makeInlineSigner(SEEDS);
  const [streams, book] = [new StreamBook(), new StatementBook()];
  const halt = new Halt();
  const disk = makeNodeDisk(dataDir);
  const store = await openLevelIndex(dataDir);
  const leaves = new LeafTables({ dataDir, maker: makeInlineTableMaker(), runEntries: 256 });
  const log = await openLog({
    disk,
    store,
    leaves,
    replay: replayAll(kind === "receipts" ? [streams, book] : [book]),
    logKeys: () => signer.keys,
    wal: { fileBytes },
    limits: LIMITS,
    clock: CLOCK,
    halt,
  }).catch(async (error: unknown) => {
    await Promise.all([store.close(), leaves.close()]);
    throw error;
  });
  const checkpointer = new Checkpointer({
    origin: FOLDER_ORIGIN,
    tree: log.tree,
    flushTiles: log.flushTiles,
    heads: log.heads,
    signer,
    clock: CLOCK,
    onFatal: (error) => halt.trip(error),
  });
  const publisher = new Publisher(disk, log.published);
  const parts: AdmitParts = { ...log, streams, onConflict: () => undefined, checks: NO_CHECKS };
  const desk = { streams, origin: FOLDER_ORIGIN, reader: makeInlineReader() };
  const admission = { software_evidence: "allow" } as const;
  if (log.tree.size === 0n) {
    const created = formatTimestamp(CLOCK.nowMs());
    const keys = signer.keys.map(formatVerifierKey);
    const body = {
      kind: "log-genesis",
      v: 1,
      origin: FOLDER_ORIGIN,
      created,
      log_kind: kind,
      keys,
      admission,
    } as const;
    const bytes = makeGenesis(body, OPERATOR);
    await append(log, [bytes], book.replay(bytes, 0n));
  }
  return {
    log,
    register: async (bytes) => void (await register({ origin: FOLDER_ORIGIN, admission, ...log, streams }, bytes)),
    addReceipt: async (bytes) => void (await admit(parts, await readSingle(desk, bytes))),
    addSegment: async (bytes) => void (await admitSegment(parts, desk, await readSegment(desk, bytes))),
    addRaw: (texts) => append(log, texts.map(formatUtf8)),
    publish: async () => {
      await checkpointer.tick();
      await log.retire();
      const { logged } = checkpointer;
      if (logged === undefined) throw new Error("nothing was signed");
      const note = formatNote(logged.text, [...logged.lines, witness.cosign(logged.text, 1_700_000_000n)]);
      await publisher.publish({ ...logged, note });
      return note;
    },
    close: async () => {
      if (halt.fault !== undefined) throw new Error("the log halted", { cause: halt.fault });
      await log.close();
    },
  };
}

async function append(log: Log, entries: readonly Uint8Array[], rows: readonly IndexRow[] = []): Promise<void> {
  const pending = entries.map((bytes) => ({ bytes, leaf: hashLeaf(bytes) }));
  await log.sequencer.submit({ entries: pending, decide: () => ({ entries: pending, rows, settle: () => undefined }) });
}

/** Paths of all files below a folder, relative to it. */
export async function filesOf(folder: string): Promise<readonly string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = found.filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1)).toSorted();
}

/** Runs `action` with one byte of a file flipped, and puts the byte back. */
export async function withFlip<T>(path: string, offset: number, action: () => Promise<T>): Promise<T> {
  const bytes = await readFile(path);
  const original = bytes[offset] ?? 0;
  bytes[offset] = original ^ 0x10;
  await writeFile(path, bytes);
  try {
    return await action();
  } finally {
    bytes[offset] = original;
    await writeFile(path, bytes);
  }
}

/** A copy of a folder beside it. */
export async function copyFolder(folder: string): Promise<string> {
  const copy = await makeFolder();
  await cp(folder, copy, { recursive: true });
  return copy;
}

/** Removes a folder and everything in it. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
