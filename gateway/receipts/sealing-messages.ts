/**
 * What the gateway's serving thread and its sealing thread tell each other. Structured clones; no key is among them.
 *
 * One of the two is at the end of the stream: the sealing thread from the start, and whenever it has a draft. With the hash of the
 * last draft that it has it lends the end to the serving thread, which may seal receipts itself, within the room of the loan, until
 * it sends the next draft. What it has sealed it says with that draft.
 */

import type { NumberedDraft } from "./sealer.ts";
import type { StreamRoom } from "./stream-log.ts";

/** Where a stream ends. */
export interface StreamEnd {
  /** Length of the last file: where the next receipt goes. */
  readonly fileBytes: number;
  /** Hash of the last receipt; undefined before the first. */
  readonly lastHash: string | undefined;
}

/** What a sealing thread is started with. */
export interface SealingOrder extends StreamEnd {
  /** Of the stream: its keys and its files. */
  readonly folder: string;
  readonly isDurable: boolean;
}

/** To the thread; `end` is there if the serving thread has sealed receipts since the loan. */
export type ToSealing =
  | { readonly type: "seal"; readonly drafts: readonly NumberedDraft[]; readonly end?: StreamEnd }
  | { readonly type: "stop"; readonly end?: StreamEnd };

/** From the thread. */
export type FromSealing =
  /** So many more receipts are durable, oldest first; with a loan if the thread has no other draft. */
  | { readonly type: "sealed"; readonly hashes: readonly string[]; readonly loan?: StreamRoom }
  /** The thread cannot go on: what the file holds behind what is sealed is unknown. */
  | { readonly type: "failed"; readonly why: string }
  /** Nothing comes after it. */
  | { readonly type: "stopped" };
