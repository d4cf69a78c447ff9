/**
 * A gateway's data folder: its streams with their keys, and which one is current.
 *
 *     current                      id of the current stream (replaced atomically)
 *     caller.key                   32 random bytes, hexadecimal: keys the hashes of callers and sessions
 *     streams/<id>/instance.key    secret envelope key; its kid is <id>
 *     streams/<id>/receipt.key     secret envelope key that signs receipts and segments
 *     streams/<id>/predecessor     the stream that this one replaces, and why; absent for a first one
 *     streams/<id>/receipts*.log   the stream, frames (stream-log.ts)
 *     streams/<id>/proven          receipts below this number have a checked, witnessed log proof
 *     streams/<id>/vault/          secrets of commitments
 *     streams/<id>/payloads/       messages of calls, if they are kept (vault/payload-store.ts)
 *     lock/                        held by the one process that may use the folder
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { parseDecimal } from "../../kernel/decimal.ts";
import { StoreError } from "../../kernel/errors.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { hex64Shape } from "../../kernel/receipt/fields.ts";
import type { Predecessor } from "../../kernel/receipt/stream-open.ts";
import { SUCCESSION_REASONS } from "../../kernel/receipt/vocabulary.ts";
import { literal, object, readShape, type Shape } from "../../kernel/shape.ts";
import { formatSecretKey } from "../../kernel/signature/secret-key.ts";
import { createSigner, SECRET_BYTES } from "../../kernel/signature/signer.ts";
import { syncFolder } from "./frame-log.ts";
import { readIfThere } from "./read-if-there.ts";
import type { StreamSigners } from "./sealer.ts";
import { INSTANCE_KEY, RECEIPT_KEY, readStreamSigners } from "./stream-keys.ts";
import { writeDurably } from "./write-durably.ts";

/** Keys and paths of one stream. */
export interface StreamPlace extends StreamSigners {
  readonly stream: string;
  readonly folder: string;
  readonly vaultFolder: string;
  readonly predecessor: Predecessor | undefined;
  /** Receipts below this number were proven to be in the log by an earlier run. */
  readonly proven: number;
}

/** The data folder of a gateway. */
export interface StreamFolder {
  /** The current stream, if there is one. */
  readonly current: () => Promise<StreamPlace | undefined>;
  /** Makes keys and folder of a new stream; it is not current yet. */
  readonly create: (predecessor?: Predecessor) => Promise<StreamPlace>;
  /** Keeps how far a stream is proven, so that a restart need not prove it again. */
  readonly setProven: (stream: string, proven: number) => Promise<void>;
  /** Makes a stream the current one, durably. */
  readonly setCurrent: (stream: string) => Promise<void>;
  /** 32 bytes; made at the first call, the same ever after. */
  readonly callerKey: () => Promise<Uint8Array>;
  readonly release: () => Promise<void>;
}

type RandomBytes = (length: number) => Uint8Array;

const ALG = "ed25519";
const CALLER_KEY_BYTES = 32;

const predecessorShape: Shape<Predecessor> = object<Predecessor>({
  stream: hex64Shape,
  reason: literal(...SUCCESSION_REASONS),
});

/** Takes the folder. @throws {StoreError} ERR_FOLDER_LOCKED if another process has it */
export async function openStreamFolder(dataDir: string, randomBytes: RandomBytes): Promise<StreamFolder> {
  await mkdir(join(dataDir, "streams"), { recursive: true, mode: 0o700 });
  const lock = new Level(join(dataDir, "lock"));
  try {
    await lock.open();
  } catch (cause) {
    throw new StoreError("ERR_FOLDER_LOCKED", "another process runs on this data folder", { cause });
  }
  return {
    current: async () => {
      const stream = await readText(join(dataDir, "current"));
      return stream === undefined ? undefined : readPlace(dataDir, stream.trim());
    },
    create: (predecessor) => createPlace(dataDir, randomBytes, predecessor),
    setProven: (stream, proven) => writeDurably(join(dataDir, "streams", stream), "proven", `${proven}\n`),
    setCurrent: (stream) => writeDurably(dataDir, "current", `${stream}\n`),
    callerKey: () => readOrMakeCallerKey(dataDir, randomBytes),
    release: () => lock.close(),
  };
}

async function createPlace(
  dataDir: string,
  randomBytes: RandomBytes,
  predecessor: Predecessor | undefined,
): Promise<StreamPlace> {
  const instance = randomBytes(SECRET_BYTES[ALG]);
  const receipt = randomBytes(SECRET_BYTES[ALG]);
  const stream = createSigner(ALG, instance).publicKey.kid;
  const folder = join(dataDir, "streams", stream);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeDurably(folder, INSTANCE_KEY, `${formatSecretKey({ alg: ALG, secret: instance })}\n`);
  await writeDurably(folder, RECEIPT_KEY, `${formatSecretKey({ alg: ALG, secret: receipt })}\n`);
  // With the keys, not with the first receipt: a crash in between must not lose which stream this one replaces.
  if (predecessor !== undefined) await writeDurably(folder, "predecessor", `${JSON.stringify(predecessor)}\n`);
  await syncFolder(join(dataDir, "streams"));
  return readPlace(dataDir, stream);
}

async function readPlace(dataDir: string, stream: string): Promise<StreamPlace> {
  const folder = join(dataDir, "streams", stream);
  const { instanceSigner, receiptSigner } = await readStreamSigners(folder);
  if (instanceSigner.publicKey.kid !== stream) {
    throw new StoreError("ERR_STREAM_FILE", `${folder}: the instance key is not the one that names the stream`);
  }
  return {
    stream,
    instanceSigner,
    receiptSigner,
    folder,
    vaultFolder: join(folder, "vault"),
    predecessor: await readPredecessor(join(folder, "predecessor")),
    proven: Number(parseDecimal((await readText(join(folder, "proven")))?.trim() ?? "0")),
  };
}

async function readPredecessor(path: string): Promise<Predecessor | undefined> {
  const text = await readText(path);
  return text === undefined ? undefined : readShape(predecessorShape, parseJson(text.trim()), path);
}

async function readOrMakeCallerKey(dataDir: string, randomBytes: RandomBytes): Promise<Uint8Array> {
  const text = await readText(join(dataDir, "caller.key"));
  if (text !== undefined) return parseHex(text.trim(), CALLER_KEY_BYTES);
  const key = randomBytes(CALLER_KEY_BYTES);
  await writeDurably(dataDir, "caller.key", `${formatHex(key)}\n`);
  return key;
}

async function readText(path: string): Promise<string | undefined> {
  return (await readIfThere(path))?.toString("utf8");
}
