/**
 * Open tasks of one stream for the next run: what the edge knows of each, with the call that made it, for the policy of its
 * result. A file `tasks/<call id>` for each, written behind the answer that gave the task and removed when its call has ended:
 *
 *     12 bytes nonce ‖ ciphertext and tag
 *     key = HMAC-SHA-256(secret of the decision receipt, lp("task")), AES-256-GCM, associated data: the call's id
 *
 * Erasing the secret ends it, as it ends every message of the call. A crash before the file is there, or one that is damaged,
 * leaves a task that the next start records as `unknown`.
 */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { hmacSha256 } from "#crypto";
import { formatUtf8, lengthPrefixed } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { canonicalBytes, parseCanonical } from "../../kernel/json/canonical.ts";
import { type Label, labelsShape } from "../../kernel/receipt/fields.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { base64, integer, literal, object, readShape, type Shape, string } from "../../kernel/shape.ts";
import { readIfThere } from "./read-if-there.ts";
import { readSecret } from "./vault.ts";
import { writeDurably } from "./write-durably.ts";

/** What the edge knows of a task. */
export type LeftEntry = {
  /** As the agent and as its server know it. */
  readonly id: string;
  readonly upstream_id: string;
  readonly server: string;
  readonly tool: string;
  /** Who may use it, and whose it is counted as. */
  readonly owner: string;
  readonly issuer: string;
  readonly name: string;
  /** Numbers of the decision, and of that of the call's first round. */
  readonly decision_seq: number;
  readonly first_seq: number;
  readonly created_ms: number;
  readonly expires_ms: number;
};

/** A task that an earlier run left open. */
export type LeftTask = {
  readonly v: 1;
  readonly call: string;
  readonly entry: LeftEntry;
  /** The call as received and as sent, base64. */
  readonly received: string;
  readonly sent: string;
  /** That its result brings. */
  readonly labels: readonly Label[];
};

const MAX_TEXT = 4_096;
const MAX_MESSAGE = 24 * 1024 * 1024;
const text: Shape<string> = string({ maxLength: MAX_TEXT });
const count: Shape<number> = integer({ min: 0 });

const shape: Shape<LeftTask> = object<LeftTask>({
  v: literal(1),
  call: string({ pattern: /^[0-9a-f]{32}$/u, maxLength: 32 }),
  entry: object<LeftEntry>({
    id: text,
    upstream_id: text,
    server: text,
    tool: text,
    owner: text,
    issuer: text,
    name: text,
    decision_seq: count,
    first_seq: count,
    created_ms: count,
    expires_ms: count,
  }),
  received: base64(),
  sent: base64(),
  labels: labelsShape,
});

/** The calls whose tasks have not ended, by their ids. */
export interface OpenDecisions {
  readonly openTask: (callId: string) => { readonly decision: { readonly seq: number } } | undefined;
}

/** Where they are kept. */
export interface LeftTasksOptions {
  /** Of the stream. */
  readonly folder: string;
  readonly vaultFolder: string;
  readonly book: OpenDecisions;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly logger: Logger;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The open tasks of a stream on disk. */
export class LeftTasks {
  readonly #options: LeftTasksOptions;
  readonly #folder: string;
  /** What is written and removed, one after the other. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: LeftTasksOptions) {
    this.#options = options;
    this.#folder = join(options.folder, "tasks");
  }

  /** Those of the earlier run whose calls have not ended; files of others are removed. @throws {StoreError} ERR_STREAM_FILE */
  async readAll(): Promise<readonly LeftTask[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const found: LeftTask[] = [];
    for (const name of names.sort()) {
      const task = await this.#read(name);
      if (task === undefined) await rm(join(this.#folder, name), { force: true, recursive: true });
      else found.push(task);
    }
    return found;
  }

  /** Returns at once; a task that cannot be written is one that a restart loses. */
  keep(task: LeftTask): void {
    this.#then(async () => {
      const secret = await readSecret(this.#options.vaultFolder, task.entry.decision_seq);
      if (secret === undefined) return;
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeDurably(this.#folder, task.call, sealTask(task, secret, this.#options.randomBytes(NONCE_BYTES)));
    });
  }

  /** The call has ended. Returns at once. */
  remove(callId: string): void {
    this.#then(() => rm(join(this.#folder, callId), { force: true }));
  }

  /** Resolves when everything until now is on disk. */
  settled(): Promise<void> {
    return this.#work;
  }

  #then(step: () => Promise<void>): void {
    this.#work = this.#work.then(step).catch((error: unknown) => {
      const code = isCodedError(error) ? error.code : "ERR_STREAM_FILE";
      this.#options.logger.warn({ code }, "an open task could not be kept for the next run");
    });
  }

  async #read(name: string): Promise<LeftTask | undefined> {
    const open = this.#options.book.openTask(name);
    if (open === undefined) return undefined;
    const secret = await readSecret(this.#options.vaultFolder, open.decision.seq);
    const file = await readIfThere(join(this.#folder, name));
    if (secret === undefined || file === undefined) return undefined;
    const task = openSealed(file, name, secret);
    return task?.entry.decision_seq === open.decision.seq ? task : undefined;
  }
}

/** The bytes of a file. */
export function sealTask(task: LeftTask, secret: Uint8Array, nonce: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", keyOf(secret), nonce).setAAD(formatUtf8(task.call));
  return new Uint8Array(
    Buffer.concat([nonce, cipher.update(canonicalBytes(task)), cipher.final(), cipher.getAuthTag()]),
  );
}

/** @returns undefined if it is another's, damaged, or of another form */
export function openSealed(file: Uint8Array, callId: string, secret: Uint8Array): LeftTask | undefined {
  const end = file.length - TAG_BYTES;
  if (end < NONCE_BYTES) return undefined;
  try {
    const decipher = createDecipheriv("aes-256-gcm", keyOf(secret), file.subarray(0, NONCE_BYTES));
    decipher.setAAD(formatUtf8(callId)).setAuthTag(file.subarray(end));
    const plain = Buffer.concat([decipher.update(file.subarray(NONCE_BYTES, end)), decipher.final()]);
    const task = readShape(shape, parseCanonical(new Uint8Array(plain), { maxBytes: MAX_MESSAGE }), "task");
    return task.call === callId ? task : undefined;
  } catch {
    return undefined;
  }
}

function keyOf(secret: Uint8Array): Uint8Array {
  return hmacSha256(secret, lengthPrefixed(formatUtf8("task")));
}
