/**
 * Pushes a log to one mirror (C2SP tlog-mirror): the published checkpoint, then the entries that the mirror lacks, in
 * uploads of at most 32 bundles, until its cosignature says that it stores all of it. Its only state, how far the mirror is,
 * may be lost: the mirror tells it again.
 */

import { formatAddCheckpoint } from "../../kernel/add-checkpoint.ts";
import { concat } from "../../kernel/bytes.ts";
import { proveConsistency, proveSubtree } from "../../kernel/merkle/prove.ts";
import { parseNote } from "../../kernel/note/signed-note.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import type { PublishedCheckpoint } from "../checkpoint/publisher.ts";
import { readBounded } from "../checkpoint/witness-client.ts";
import { WitnessHealth, type WitnessHealthView } from "../checkpoint/witness-health.ts";
import { type RawReply, readReply, type WitnessFault } from "../checkpoint/witness-reply.ts";
import type { Tree } from "../tree/tree.ts";
import type { MirrorConfig } from "./push-config.ts";
import { readPushReply } from "./push-reply.ts";
import { formatPackage, formatUploadHeader, packageEnd } from "./upload.ts";

/** SPEC tlog-mirror: a client SHOULD send at most 32 packages in a request. */
const MAX_PACKAGES = 32;
/** Bytes after which an upload ends, whatever it could still carry: one package more may be on top. */
const MAX_UPLOAD_BYTES = 8 * 1024 * 1024;
/** Submissions of one checkpoint: the first, one after a 409, one more if another client came between. */
const MAX_ATTEMPTS = 3;
/** Answers in a row that bring an upload no further. */
const MAX_STANDSTILLS = 3;
const WIDTH = BigInt(TILE_WIDTH);

/** How a mirror is doing. */
export type MirrorView = WitnessHealthView & {
  /** Entries that the mirror has said, by its cosignature, to store. */
  readonly size: number;
  /** Published entries that it has not said so of. */
  readonly lag_entries: number;
};

/** What a pusher works with. */
export interface PusherParts {
  readonly origin: string;
  readonly tree: Tree;
  readonly published: () => PublishedCheckpoint | undefined;
  /** Entries below it were pruned. */
  readonly minimumIndex: bigint;
  readonly fetch: typeof fetch;
  /** Bound of one request, its upload included. */
  readonly timeoutMs: number;
  readonly nowMs: () => number;
  /** Told why a push did not get through. */
  readonly onFault: (url: string, reason: string) => void;
}

/** Pushes to one mirror. */
export class MirrorPusher {
  readonly #mirror: MirrorConfig;
  readonly #parts: PusherParts;
  readonly #health: WitnessHealth;
  readonly #url: string;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #pending = 0n;
  #next = 0n;
  #ticket: Uint8Array = new Uint8Array(0);
  #stored = 0n;

  constructor(mirror: MirrorConfig, parts: PusherParts) {
    this.#mirror = mirror;
    this.#parts = parts;
    this.#url = mirror.url.replace(/\/+$/u, "");
    this.#health = new WitnessHealth(this.#url, { nowMs: parts.nowMs, random: Math.random });
  }

  /** How the mirror is doing. */
  view(): MirrorView {
    const published = this.#parts.published()?.size ?? 0n;
    const lag = published > this.#stored ? published - this.#stored : 0n;
    return { ...this.#health.view(), size: Number(this.#stored), lag_entries: Number(lag) };
  }

  /** Brings the mirror up to the published checkpoint, if it may be asked now; never rejects. */
  tick(): Promise<void> {
    const target = this.#parts.published();
    if (this.#stop.signal.aborted || target === undefined || target.size <= this.#stored) return Promise.resolve();
    if (!this.#health.mayBeAsked) return Promise.resolve();
    this.#running ??= this.#push(target).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Cuts off what is under way, and pushes nothing more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #push(target: PublishedCheckpoint): Promise<void> {
    const started = performance.now();
    const fault = await this.#bringUp(target).catch((error: unknown) => ({
      reason: `internal fault: ${String(error)}`,
    }));
    if (this.#stop.signal.aborted) return;
    if (fault === undefined) {
      this.#stored = target.size;
      this.#health.succeeded(performance.now() - started);
      return;
    }
    this.#health.failed(fault.reason);
    this.#parts.onFault(this.#url, fault.reason);
  }

  async #bringUp(target: PublishedCheckpoint): Promise<WitnessFault | undefined> {
    return (await this.#announce(target)) ?? (await this.#upload(target));
  }

  /** Moves the mirror's pending checkpoint; it signs nothing for that. */
  async #announce(target: PublishedCheckpoint): Promise<WitnessFault | undefined> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      const old = this.#pending;
      if (old > target.size) return fault("has a pending checkpoint above the published one");
      const raw = await this.#post("add-checkpoint", await this.#announcement(target), "text/plain; charset=utf-8");
      if ("kind" in raw) return raw;
      if (raw.status === 200) {
        this.#pending = target.size;
        return undefined;
      }
      const reply = readReply(raw, "", []);
      if (reply.kind === "fault") return reply;
      if (reply.kind !== "other-size" || reply.size === old)
        return fault("status 409 with the size that was submitted");
      this.#pending = reply.size;
    }
    return fault("the pending size kept changing");
  }

  async #announcement({ size, note }: PublishedCheckpoint): Promise<string> {
    const old = this.#pending;
    const isGrowth = old > 0n && old < size;
    const proof = isGrowth ? await proveConsistency(old, size, this.#parts.tree.reader(size)) : [];
    return formatAddCheckpoint(old, proof, note);
  }

  /** Uploads until the mirror cosigns. */
  async #upload(target: PublishedCheckpoint): Promise<WitnessFault | undefined> {
    const { text } = parseNote(target.note);
    for (let standstills = 0; standstills < MAX_STANDSTILLS; ) {
      if (this.#next < this.#parts.minimumIndex && this.#next < target.size) {
        return fault(`lacks entries from ${this.#next}, which were pruned here`);
      }
      const raw = await this.#post("add-entries", await this.#body(target.size), "application/octet-stream");
      if ("kind" in raw) return raw;
      const reply = readPushReply(raw, text, this.#mirror.key);
      if (reply.kind === "stored") return undefined;
      if (reply.kind === "fault") return reply;
      standstills = reply.next > this.#next ? 0 : standstills + 1;
      [this.#next, this.#ticket] = [reply.next, reply.ticket];
    }
    return fault("an upload got no further");
  }

  /** Packages from where the mirror is, each with the proof of its place in the tree of `size`. */
  async #body(size: bigint): Promise<Uint8Array> {
    const { origin, tree } = this.#parts;
    const start = this.#next < size ? this.#next : size;
    const parts = [formatUploadHeader({ origin, start, end: size, ticket: this.#ticket })];
    let [at, bytes] = [start, 0];
    for (let i = 0; i < MAX_PACKAGES && at < size && bytes < MAX_UPLOAD_BYTES; i += 1) {
      const end = packageEnd(at, size);
      const first = at - (at % WIDTH);
      const entries = (await tree.readBundle(first / WIDTH)).slice(Number(at - first), Number(end - first));
      const part = formatPackage({ entries, proof: await proveSubtree(first, end, size, tree.reader(size)) });
      parts.push(part);
      bytes += part.length;
      at = end;
    }
    return concat(...parts);
  }

  async #post(path: string, body: string | Uint8Array, type: string): Promise<RawReply | WitnessFault> {
    const { fetch: ask, timeoutMs } = this.#parts;
    try {
      const response = await ask(`${this.#url}/${path}`, {
        method: "POST",
        body,
        headers: { "content-type": type },
        redirect: "error",
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#stop.signal]),
      });
      const reply = await readBounded(response);
      if (reply === undefined) return fault("a reply that is too long");
      return { status: response.status, contentType: response.headers.get("content-type") ?? "", body: reply };
    } catch (error) {
      const isLate = error instanceof Error && error.name === "TimeoutError";
      return fault(isLate ? "no reply in time" : "no connection");
    }
  }
}

function fault(reason: string): WitnessFault {
  return { kind: "fault", reason };
}
