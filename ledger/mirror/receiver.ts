/**
 * A mirror that logs push to (C2SP tlog-mirror), without HTTP. Of each log it has a mirror checkpoint, all of which it
 * holds durably, a pending one that is at least as large, and the first index that it does not hold.
 *
 * It signs only the mirror checkpoint, and only after everything below it is durable: its cosignature says that it
 * stores and serves the log. add-checkpoint moves the pending checkpoint and signs nothing.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import { parseAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { formatBase64 } from "../../kernel/base64.ts";
import { concat, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import { verifyLines } from "../../kernel/checkpoint/open-note.ts";
import { EMPTY_TREE, judge } from "../../kernel/checkpoint-judge.ts";
import { CheckError, FormatError, isCodedError, StoreError } from "../../kernel/errors.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { asNodeHash, hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { checkSubtreeConsistency } from "../../kernel/merkle/subtree-proof.ts";
import { formatNote, parseNote } from "../../kernel/note/signed-note.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatEntryBundle, parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { MirrorCosigner } from "./mirror-signing.ts";
import type { MirrorHead, MirrorStore } from "./mirror-store.ts";
import { type Package, packageEnd, readPackage, readUploadHeader, type UploadHeader } from "./upload.ts";
import { writeUpperTiles } from "./upper-tiles.ts";
import { VerifiedTiles } from "./verified-tiles.ts";

const WIDTH = BigInt(TILE_WIDTH);
/** Packages that one request may bring; the rest is asked for with 202. */
const MAX_PACKAGES = 64;
/** Entries that an upload may bring again. */
const MAX_REPEATED = 32n * WIDTH;
/** Pending heads that are remembered, so that an upload may end at one that was replaced meanwhile. */
const MAX_PENDING = 64;
const MAC_BYTES = 32;
const MAX_TICKET_BYTES = 60_000;

/** A log that may push. */
export interface ReceivedLog {
  readonly origin: string;
  readonly keys: readonly VerifierKey[];
  readonly store: MirrorStore;
}

/** What a receiver works with. */
export interface ReceiverParts {
  readonly logs: readonly ReceivedLog[];
  /** The mirror's keys; their names differ from those of any witness of the same operator. */
  readonly cosigners: readonly MirrorCosigner[];
  readonly nowSeconds: () => bigint;
  /** 32 random bytes that authenticate tickets; a restart may have others. */
  readonly ticketKey: Uint8Array;
}

/** An answer of the protocol. */
export interface MirrorAnswer {
  readonly status: number;
  readonly contentType?: "text/x.tlog.size" | "text/x.tlog.mirror-info";
  readonly body: string;
}

/** The mirror's side of the protocol. */
export interface Receiver {
  readonly addCheckpoint: (body: Uint8Array) => Promise<MirrorAnswer>;
  /** Reads the body as it comes; may answer before its end. */
  readonly addEntries: (body: ByteReader) => Promise<MirrorAnswer>;
  /** How far each log is. */
  readonly views: () => readonly ReceivedView[];
}

/** How far a log is here, as `/readyz` says it. */
export interface ReceivedView {
  readonly origin: string;
  /** Of the cosigned checkpoint. */
  readonly size: number;
  /** Of the newest checkpoint that was pushed. */
  readonly pending_size: number;
  /** The first entry that is not here. */
  readonly next_entry: number;
  /** POSIX seconds of the last cosignature of this run; null before it. */
  readonly cosigned_at: number | null;
}

/** Opens a receiver over stores that are open. */
export async function makeReceiver(parts: ReceiverParts): Promise<Receiver> {
  const desks = new Map<string, Desk>();
  for (const log of parts.logs) desks.set(log.origin, await Desk.open(parts, log));
  return {
    addCheckpoint: (body) => addCheckpoint(desks, body),
    addEntries: (body) => addEntries(desks, body),
    views: () => [...desks.values()].map((desk) => desk.view),
  };
}

async function addCheckpoint(desks: ReadonlyMap<string, Desk>, body: Uint8Array): Promise<MirrorAnswer> {
  try {
    const request = parseAddCheckpoint(body);
    const desk = desks.get(request.checkpoint.origin);
    if (desk === undefined) return plain(404, "no log of this origin is mirrored here");
    return await desk.inTurn(() => desk.addCheckpoint(request));
  } catch (error) {
    if (!isCodedError(error) || error instanceof StoreError) throw error;
    return plain(400, error.message);
  }
}

async function addEntries(desks: ReadonlyMap<string, Desk>, body: ByteReader): Promise<MirrorAnswer> {
  let header: UploadHeader;
  try {
    header = await readUploadHeader(body);
  } catch (error) {
    if (!isCodedError(error)) throw error;
    return plain(400, error.message);
  }
  const desk = desks.get(header.origin);
  return desk === undefined ? plain(404, "no log of this origin is mirrored here") : desk.addEntries(header, body);
}

/** What the mirror has of one log; mutable. */
class Desk {
  readonly #parts: ReceiverParts;
  readonly #log: ReceivedLog;
  readonly #pending = new Map<bigint, MirrorHead>();
  #nextEntry: bigint;
  #cosignedAt: bigint | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(parts: ReceiverParts, log: ReceivedLog, nextEntry: bigint) {
    this.#parts = parts;
    this.#log = log;
    this.#nextEntry = nextEntry;
    const { pending } = log.store;
    if (pending !== undefined) this.#pending.set(pending.size, pending);
  }

  /** Counts what is stored beyond the mirror checkpoint: full bundles, whose tiles were written with them. */
  static async open(parts: ReceiverParts, log: ReceivedLog): Promise<Desk> {
    let next = log.store.published?.size ?? 0n;
    for (;;) {
      const index = next / WIDTH;
      if ((await log.store.read({ kind: "hash", level: 0, index, width: TILE_WIDTH })) === undefined) break;
      if ((await log.store.read({ kind: "entries", index, width: TILE_WIDTH })) === undefined) break;
      next = (index + 1n) * WIDTH;
    }
    return new Desk(parts, log, next);
  }

  get view(): ReceivedView {
    return {
      origin: this.#log.origin,
      size: Number(this.#log.store.published?.size ?? 0n),
      pending_size: Number(this.#newest()?.size ?? 0n),
      next_entry: Number(this.#nextEntry),
      cosigned_at: this.#cosignedAt === undefined ? null : Number(this.#cosignedAt),
    };
  }

  /** Runs `task` behind the earlier ones of this log. */
  inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(task);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  /** As a witness, but it moves the pending checkpoint alone. SPEC tlog-mirror: the mirror key MUST NOT sign it. */
  async addCheckpoint(request: ReturnType<typeof parseAddCheckpoint>): Promise<MirrorAnswer> {
    const { note, checkpoint } = request;
    const lines = linesOf(note, this.#log.keys);
    if (lines.length === 0) return plain(403, "no signature of a trusted key, or one that does not verify");
    const recorded = this.#newest() ?? EMPTY_TREE;
    const ruling = judge(recorded, request);
    if (ruling.verdict === "bad-request") return plain(400, ruling.why);
    if (ruling.verdict === "conflict") {
      return { status: 409, contentType: "text/x.tlog.size", body: `${ruling.recordedSize}\n` };
    }
    const kept = formatNote(note.text, lines);
    if (ruling.verdict === "unprocessable") {
      const newest = this.#newest();
      if (newest !== undefined) await this.#log.store.addEvidence(newest.note, kept);
      return plain(422, ruling.why);
    }
    const head = { size: checkpoint.size, root: checkpoint.root, note: kept };
    await this.#log.store.begin(head);
    this.#remember(head);
    return { status: 200, body: "" };
  }

  async addEntries(header: UploadHeader, body: ByteReader): Promise<MirrorAnswer> {
    if (this.#newest() === undefined) return plain(422, "no checkpoint of this log was pushed yet");
    const head = this.#findPending(header);
    const isGrowth = head !== undefined && head.size >= (this.#log.store.published?.size ?? 0n);
    // Too far ahead would leave a hole; too far behind brings again what is here.
    const isInPlace = header.start <= this.#nextEntry && header.start + MAX_REPEATED >= this.#nextEntry;
    if (!isGrowth || !isInPlace) return this.#info(409);
    const taken = await this.#takePackages(header.start, head, body);
    if (taken.refusal !== undefined) return taken.refusal;
    return taken.at < head.size ? this.#info(202) : this.inTurn(() => this.#finish(head));
  }

  /** Takes packages until the body ends, one is bad, or enough came. */
  async #takePackages(
    start: bigint,
    head: MirrorHead,
    body: ByteReader,
  ): Promise<{ readonly at: bigint; readonly refusal?: MirrorAnswer }> {
    let [at, count] = [start, 0];
    try {
      while (at < head.size && count < MAX_PACKAGES && !(await body.isAtEnd())) {
        await this.#takePackage(await readPackage(body, at, head.size), head);
        at = packageEnd(at, head.size);
        count += 1;
      }
    } catch (error) {
      if (!isCodedError(error) || error instanceof StoreError) throw error;
      // A package that was cut off may come again; one that is false may not.
      const isCut = error instanceof FormatError;
      if (!isCut) return { at, refusal: plain(422, `package ${count}: ${error.code}: ${error.message}`) };
      return { at, refusal: count === 0 ? plain(400, error.message) : this.#info(202) };
    }
    if (count > 0 || at === head.size) return { at };
    return { at, refusal: plain(400, "the body ends before the first package") };
  }

  /**
   * Verifies a package against the pending root and stores it. Every package is proven by itself, so uploads of several
   * clients may interleave: their bytes agree.
   */
  async #takePackage({ start, entries, proof }: Package, head: MirrorHead): Promise<void> {
    const first = start - (start % WIDTH);
    const before = await this.#storedEntries(first, start);
    const all = [...before, ...entries];
    const end = first + BigInt(all.length);
    const leaves = all.map(hashLeaf);
    checkSubtreeConsistency({ start: first, end, hash: rootOf(leaves), size: head.size, root: head.root, proof });
    const index = first / WIDTH;
    const ref = { index, width: all.length } as const;
    const bundle = { ref: { kind: "entries" as const, ...ref }, bytes: formatEntryBundle(all) };
    const tile = { ref: { kind: "hash" as const, level: 0, ...ref }, bytes: concat(...leaves) };
    await this.inTurn(async () => {
      await this.#log.store.write([bundle, tile]);
      if (end > this.#nextEntry) this.#nextEntry = end;
    });
  }

  /** Entries [first, start) of a bundle that a package begins inside of. */
  async #storedEntries(first: bigint, start: bigint): Promise<readonly Uint8Array[]> {
    const width = Number(start - first);
    if (width === 0) return [];
    const bytes = await this.#log.store.read({ kind: "entries", index: first / WIDTH, width });
    if (bytes === undefined) throw new CheckError("ERR_TILE_MISSING", `entries from ${first} are not here`);
    return parseEntryBundle(bytes, width);
  }

  /** Moves the mirror checkpoint, never back. SPEC tlog-mirror: it MUST NOT sign before all entries are durable. */
  async #finish(head: MirrorHead): Promise<MirrorAnswer> {
    const { store } = this.#log;
    const old = store.published;
    if (old !== undefined && head.size < old.size) return this.#info(409);
    await writeUpperTiles(store, old?.size ?? 0n, head.size);
    await VerifiedTiles.open(head, (ref) => store.read(ref));
    const { text, signatures } = parseNote(head.note);
    const now = this.#parts.nowSeconds();
    const lines = await Promise.all(this.#parts.cosigners.map(({ cosign }) => cosign(text, now)));
    await store.publish({ ...head, note: formatNote(text, [...signatures.map(({ line }) => line), ...lines]) });
    this.#cosignedAt = now;
    return { status: 200, body: lines.join("") };
  }

  #newest(): MirrorHead | undefined {
    const { pending, published } = this.#log.store;
    if (pending === undefined) return published;
    return published !== undefined && published.size > pending.size ? published : pending;
  }

  #remember(head: MirrorHead): void {
    this.#pending.set(head.size, head);
    const [oldest] = this.#pending.keys();
    if (this.#pending.size > MAX_PENDING && oldest !== undefined) this.#pending.delete(oldest);
  }

  /** The head that an upload ends at: remembered, or brought back by the ticket that we gave for it. */
  #findPending({ end, ticket }: UploadHeader): MirrorHead | undefined {
    const { published } = this.#log.store;
    const known = this.#pending.get(end) ?? (published?.size === end ? published : undefined);
    return known ?? this.#openTicket(ticket, end);
  }

  /** ticket = HMAC-SHA-256(origin LF note) ‖ note: what a restart or a newer checkpoint made us forget, we signed for. */
  #makeTicket({ note }: MirrorHead): Uint8Array {
    const bytes = formatUtf8(note);
    return bytes.length > MAX_TICKET_BYTES ? new Uint8Array(0) : concat(this.#mac(bytes), bytes);
  }

  #openTicket(ticket: Uint8Array, end: bigint): MirrorHead | undefined {
    const [mac, bytes] = [ticket.subarray(0, MAC_BYTES), ticket.subarray(MAC_BYTES)];
    if (mac.length < MAC_BYTES || !timingSafeEqual(mac, this.#mac(bytes))) return undefined;
    const note = parseUtf8(bytes);
    const { size, root } = parseCheckpoint(parseNote(note).text);
    return size === end ? { size, root, note } : undefined;
  }

  #mac(bytes: Uint8Array): Uint8Array {
    return createHmac("sha256", this.#parts.ticketKey).update(`${this.#log.origin}\n`).update(bytes).digest();
  }

  /** Where an upload can go on: a pending size, the next entry, a ticket. */
  #info(status: 202 | 409): MirrorAnswer {
    const newest = this.#newest();
    const ticket = newest === undefined ? "" : formatBase64(this.#makeTicket(newest));
    const body = `${newest?.size ?? 0n}\n${this.#nextEntry}\n${ticket}\n`;
    return { status, contentType: "text/x.tlog.mirror-info", body };
  }
}

/** Lines of the log's keys; none if one of them is false. */
function linesOf(note: ReturnType<typeof parseNote>, keys: readonly VerifierKey[]): readonly string[] {
  try {
    return verifyLines(note, keys).map(({ line }) => line);
  } catch (error) {
    if (isCodedError(error)) return [];
    throw error;
  }
}

function rootOf(leaves: readonly LeafHash[]): ReturnType<typeof asNodeHash> {
  const range = CompactRange.empty();
  for (const leaf of leaves) range.append(leaf);
  return asNodeHash(range.root());
}

function plain(status: number, why: string): MirrorAnswer {
  return { status, body: `${why}\n` };
}
