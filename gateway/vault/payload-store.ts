/**
 * Messages that calls sent and got, kept for later disclosure where the configuration asks for it: each encrypted under the
 * secret of its receipt, so that it ends with the secret.
 *
 * Files `payloads/<block>`, one for each 4,096 receipts, frames one behind another:
 *
 *     u32 length ‖ u48 seq ‖ u8 member ‖ 12 bytes nonce ‖ ciphertext and tag (length bytes)      big-endian
 *     key = HMAC-SHA-256(receipt secret, lp("payload") ‖ lp(member)), AES-256-GCM, no associated data
 *
 * Frames are written behind the calls and synced when the store is closed: a crash may lose the last ones, which then are
 * "not kept". What is committed to never depends on them.
 */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { hmacSha256 } from "#crypto";
import { concat, formatUtf8, lengthPrefixed } from "../../kernel/bytes.ts";
import { OPENED_MEMBERS, type OpenedMember } from "../../kernel/receipt/vocabulary.ts";

/** Keeps one message; returns at once. */
export type KeepPayload = (seq: number, member: OpenedMember, secret: Uint8Array, bytes: Uint8Array) => void;

/** The messages of the stream that is being written. */
export interface PayloadStore {
  readonly keep: KeepPayload;
  /** Resolves when what was kept until now is in its files. */
  readonly written: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** What a store is opened with. */
export interface PayloadStoreOptions {
  readonly folder: string;
  readonly randomBytes: (length: number) => Uint8Array;
  /** Told once of a message that is not kept: too many wait, or a file cannot be written. */
  readonly onLost: (error: unknown) => void;
}

const BLOCK_RECEIPTS = 4096;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PREFIX_BYTES = 4 + 6 + 1;
const HEADER_BYTES = PREFIX_BYTES + NONCE_BYTES;
/** A message that is larger is not kept. */
const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;
const MAX_WAITING_BYTES = 32 * 1024 * 1024;

/** Opens the store of a stream; its folder is made with the first message. */
export function openPayloadStore({ folder, randomBytes, onLost }: PayloadStoreOptions): PayloadStore {
  let waiting: { readonly block: number; readonly frame: Uint8Array }[] = [];
  let waitingBytes = 0;
  let isLossTold = false;
  let writing: Promise<void> | undefined;
  const files = new BlockFile(folder);
  const lose = (error: unknown): void => {
    if (!isLossTold) onLost(error);
    isLossTold = true;
  };
  const drain = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      waitingBytes = 0;
      for (const [block, frames] of byBlock(batch)) await files.append(block, frames).catch(lose);
    }
  };
  const written = (): Promise<void> => {
    writing ??= drain().finally(() => {
      writing = undefined;
    });
    return writing;
  };
  return {
    keep: (seq, member, secret, bytes) => {
      if (bytes.length > MAX_PAYLOAD_BYTES) return;
      if (waitingBytes + bytes.length > MAX_WAITING_BYTES) {
        lose(new Error("the disk does not keep up"));
        return;
      }
      const frame = seal(seq, member, secret, bytes, randomBytes(NONCE_BYTES));
      waiting.push({ block: Math.floor(seq / BLOCK_RECEIPTS), frame });
      waitingBytes += frame.length;
      void written();
    },
    written,
    close: async () => {
      await written();
      await files.close();
    },
  };
}

/** Reads kept messages of one stream; what is in a file is looked up once. */
export class PayloadReader {
  readonly #folder: string;
  #block: { readonly name: string; readonly frames: readonly Frame[] } | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @returns undefined if it was not kept, or cannot be decrypted: it is another's, or damaged */
  async read(seq: number, member: OpenedMember, secret: Uint8Array): Promise<Uint8Array | undefined> {
    const name = nameOf(Math.floor(seq / BLOCK_RECEIPTS));
    const file = await openIfThere(join(this.#folder, name));
    if (file === undefined) return undefined;
    try {
      if (this.#block?.name !== name) this.#block = { name, frames: await framesOf(file) };
      const frames = this.#block.frames.filter((each) => each.seq === seq && OPENED_MEMBERS[each.member] === member);
      // Behind a crash a number can come twice: the last one that opens is the one that was recorded.
      for (const frame of frames.toReversed()) {
        const bytes = unseal(await readAt(file, frame.at, NONCE_BYTES + frame.length), member, secret);
        if (bytes !== undefined) return bytes;
      }
      return undefined;
    } finally {
      await file.close();
    }
  }
}

/**
 * Overwrites the messages of receipts in place, and syncs. A file of which nothing is left is removed.
 *
 * @param nextSeq  of the stream, if it is the one that is written: its present file stays
 */
export async function erasePayloads(folder: string, seqs: ReadonlySet<number>, nextSeq?: number): Promise<void> {
  const present = nextSeq === undefined ? undefined : Math.floor(nextSeq / BLOCK_RECEIPTS);
  const blocks = new Set([...seqs].map((seq) => Math.floor(seq / BLOCK_RECEIPTS)));
  for (const block of blocks) {
    const path = join(folder, nameOf(block));
    const isEmpty = await eraseInFile(path, seqs);
    if (isEmpty && (present === undefined || block < present - 1)) await rm(path, { force: true });
  }
}

/** @returns true if nothing is left in it */
async function eraseInFile(path: string, seqs: ReadonlySet<number>): Promise<boolean> {
  const file = await openIfThere(path, "r+");
  if (file === undefined) return false;
  try {
    const frames = await framesOf(file);
    let left = 0;
    for (const { at, length, seq } of frames) {
      const whole = NONCE_BYTES + length;
      if (seqs.has(seq)) await file.write(new Uint8Array(whole), 0, whole, at);
      else if ((await readAt(file, at, NONCE_BYTES)).some((byte) => byte !== 0)) left += 1;
    }
    await file.sync();
    return left === 0;
  } finally {
    await file.close();
  }
}

/** Where a message stands in a file. */
interface Frame {
  readonly seq: number;
  readonly member: number;
  /** First byte of the nonce. */
  readonly at: number;
  /** Of ciphertext and tag. */
  readonly length: number;
}

/** The whole frames of a file; what is behind the first torn one was never answered for. */
async function framesOf(file: FileHandle): Promise<readonly Frame[]> {
  const { size } = await file.stat();
  const frames: Frame[] = [];
  let at = 0;
  while (at + HEADER_BYTES <= size) {
    const header = await readAt(file, at, PREFIX_BYTES);
    const length = header.readUInt32BE(0);
    const end = at + HEADER_BYTES + length;
    if (length < TAG_BYTES || end > size) break;
    frames.push({ seq: header.readUIntBE(4, 6), member: header.readUInt8(10), at: at + PREFIX_BYTES, length });
    at = end;
  }
  return frames;
}

async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}

async function openIfThere(path: string, flags = "r"): Promise<FileHandle | undefined> {
  try {
    return await open(path, flags);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** The file that is being written: receipts come in order, so there is one at a time. */
class BlockFile {
  readonly #folder: string;
  #open: { readonly block: number; readonly file: FileHandle; position: number } | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async append(block: number, frames: readonly Uint8Array[]): Promise<void> {
    const at = await this.#fileOf(block);
    const bytes = frames.reduce((total, frame) => total + frame.length, 0);
    const { bytesWritten } = await at.file.writev([...frames], at.position);
    if (bytesWritten !== bytes) throw new Error(`wrote ${bytesWritten} of ${bytes} bytes`);
    at.position += bytes;
  }

  async close(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.file.sync();
    await open?.file.close();
  }

  async #fileOf(block: number): Promise<{ readonly file: FileHandle; position: number }> {
    if (this.#open?.block === block) return this.#open;
    await this.close();
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const file = await open(join(this.#folder, nameOf(block)), constants.O_RDWR | constants.O_CREAT, 0o600);
    const last = (await framesOf(file)).at(-1);
    const position = last === undefined ? 0 : last.at + NONCE_BYTES + last.length;
    // A torn tail was never answered for.
    await file.truncate(position);
    this.#open = { block, file, position };
    return this.#open;
  }
}

function byBlock(
  batch: readonly { readonly block: number; readonly frame: Uint8Array }[],
): ReadonlyMap<number, readonly Uint8Array[]> {
  const blocks = new Map<number, Uint8Array[]>();
  for (const { block, frame } of batch) {
    const frames = blocks.get(block) ?? [];
    frames.push(frame);
    blocks.set(block, frames);
  }
  return blocks;
}

function seal(seq: number, member: OpenedMember, secret: Uint8Array, bytes: Uint8Array, nonce: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", keyOf(secret, member), nonce);
  const body = Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(body.length);
  header.writeUIntBE(seq, 4, 6);
  header.writeUInt8(OPENED_MEMBERS.indexOf(member), 10);
  header.set(nonce, PREFIX_BYTES);
  return new Uint8Array(Buffer.concat([header, body]));
}

/** @param frame  nonce, ciphertext and tag */
function unseal(frame: Buffer, member: OpenedMember, secret: Uint8Array): Uint8Array | undefined {
  const end = frame.length - TAG_BYTES;
  if (end < NONCE_BYTES) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", keyOf(secret, member), frame.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(frame.subarray(end));
  try {
    return new Uint8Array(Buffer.concat([decipher.update(frame.subarray(NONCE_BYTES, end)), decipher.final()]));
  } catch {
    return undefined;
  }
}

function keyOf(secret: Uint8Array, member: OpenedMember): Uint8Array {
  return hmacSha256(secret, concat(lengthPrefixed(formatUtf8("payload")), lengthPrefixed(formatUtf8(member))));
}

function nameOf(block: number): string {
  return String(block).padStart(8, "0");
}
