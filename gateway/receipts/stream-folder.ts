/**
 * A gateway's data folder: its streams with their keys, and which one is current.
 *
 *     current                      id of the current stream (replaced atomically)
 *     caller.key                   32 random bytes, hexadecimal: keys the hashes of callers and sessions
 *     streams/<id>/instance.key    secret envelope key; its kid is <id>
 *     streams/<id>/receipt.key     secret envelope key that signs receipts and segments
 *     streams/<id>/receipts.log    the stream, frames
 *     streams/<id>/vault/          secrets of commitments
 *     lock/                        held by the one process that may use the folder
 */

import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { StoreError } from "../../kernel/errors.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { formatSecretKey, parseSecretKey } from "../../kernel/signature/secret-key.ts";
import { createSigner, type EnvelopeSigner, SECRET_BYTES } from "../../kernel/signature/signer.ts";
import { syncFolder } from "./frame-log.ts";

/** Keys and paths of one stream. */
export interface StreamPlace {
  readonly stream: string;
  readonly instanceSigner: EnvelopeSigner;
  readonly receiptSigner: EnvelopeSigner;
  readonly logPath: string;
  readonly vaultFolder: string;
}

/** The data folder of a gateway. */
export interface StreamFolder {
  /** The current stream, if there is one. */
  readonly current: () => Promise<StreamPlace | undefined>;
  /** Makes keys and folder of a new stream; it is not current yet. */
  readonly create: () => Promise<StreamPlace>;
  /** Makes a stream the current one, durably. */
  readonly setCurrent: (stream: string) => Promise<void>;
  /** 32 bytes; made at the first call, the same ever after. */
  readonly callerKey: () => Promise<Uint8Array>;
  readonly release: () => Promise<void>;
}

type RandomBytes = (length: number) => Uint8Array;

const ALG = "ed25519";
const CALLER_KEY_BYTES = 32;

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
    create: () => createPlace(dataDir, randomBytes),
    setCurrent: (stream) => writeDurably(dataDir, "current", `${stream}\n`),
    callerKey: () => readOrMakeCallerKey(dataDir, randomBytes),
    release: () => lock.close(),
  };
}

async function createPlace(dataDir: string, randomBytes: RandomBytes): Promise<StreamPlace> {
  const instance = randomBytes(SECRET_BYTES[ALG]);
  const receipt = randomBytes(SECRET_BYTES[ALG]);
  const stream = createSigner(ALG, instance).publicKey.kid;
  const folder = join(dataDir, "streams", stream);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeDurably(folder, "instance.key", `${formatSecretKey({ alg: ALG, secret: instance })}\n`);
  await writeDurably(folder, "receipt.key", `${formatSecretKey({ alg: ALG, secret: receipt })}\n`);
  await syncFolder(join(dataDir, "streams"));
  return readPlace(dataDir, stream);
}

async function readPlace(dataDir: string, stream: string): Promise<StreamPlace> {
  const folder = join(dataDir, "streams", stream);
  const instanceSigner = await readSigner(join(folder, "instance.key"));
  if (instanceSigner.publicKey.kid !== stream) {
    throw new StoreError("ERR_STREAM_FILE", `${folder}: the instance key is not the one that names the stream`);
  }
  const receiptSigner = await readSigner(join(folder, "receipt.key"));
  return {
    stream,
    instanceSigner,
    receiptSigner,
    logPath: join(folder, "receipts.log"),
    vaultFolder: join(folder, "vault"),
  };
}

async function readSigner(path: string): Promise<EnvelopeSigner> {
  const content = await readFile(path).catch((cause: unknown) => {
    throw new StoreError("ERR_STREAM_FILE", `cannot read the key ${path}`, { cause });
  });
  const { alg, secret } = parseSecretKey(new Uint8Array(content));
  return createSigner(alg, secret);
}

async function readOrMakeCallerKey(dataDir: string, randomBytes: RandomBytes): Promise<Uint8Array> {
  const text = await readText(join(dataDir, "caller.key"));
  if (text !== undefined) return parseHex(text.trim(), CALLER_KEY_BYTES);
  const key = randomBytes(CALLER_KEY_BYTES);
  await writeDurably(dataDir, "caller.key", `${formatHex(key)}\n`);
  return key;
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Temporary file, fsync, rename, fsync of the folder; mode 0600. */
export async function writeDurably(folder: string, name: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(folder, `${name}.tmp`);
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(folder, name));
  await syncFolder(folder);
}
