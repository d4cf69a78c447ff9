/** The keys in a stream's folder (stream-folder.ts). */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "../../kernel/errors.ts";
import { parseSecretKey } from "../../kernel/signature/secret-key.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import type { StreamSigners } from "./sealer.ts";

/** File of the key that names the stream. */
export const INSTANCE_KEY = "instance.key";
/** File of the key that signs receipts. */
export const RECEIPT_KEY = "receipt.key";

/** Reads the keys of the stream in `folder`. @throws {StoreError} ERR_STREAM_FILE @throws as parseSecretKey */
export async function readStreamSigners(folder: string): Promise<StreamSigners> {
  const instanceSigner = await readSigner(join(folder, INSTANCE_KEY));
  return { instanceSigner, receiptSigner: await readSigner(join(folder, RECEIPT_KEY)) };
}

async function readSigner(path: string): Promise<EnvelopeSigner> {
  const content = await readFile(path).catch((cause: unknown) => {
    throw new StoreError("ERR_STREAM_FILE", `cannot read the key ${path}`, { cause });
  });
  const { alg, secret } = parseSecretKey(new Uint8Array(content));
  return createSigner(alg, secret);
}
