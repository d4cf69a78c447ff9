/** What the gateway's serving thread and its sealing thread tell each other. Structured clones; no key is among them. */

import type { NumberedDraft } from "./sealer.ts";

/** What a sealing thread is started with. */
export interface SealingOrder {
  /** Of the stream: its keys and its files. */
  readonly folder: string;
  readonly isDurable: boolean;
  /** Length of the last file: where the next receipt goes. */
  readonly fileBytes: number;
  /** Hash of the last receipt; undefined before the first. */
  readonly lastHash: string | undefined;
}

/** To the thread. */
export type ToSealing =
  | { readonly type: "seal"; readonly drafts: readonly NumberedDraft[] }
  | { readonly type: "stop" };

/** From the thread. */
export type FromSealing =
  /** So many more receipts are durable, oldest first. */
  | { readonly type: "sealed"; readonly hashes: readonly string[] }
  /** The thread cannot go on: what the file holds behind what is sealed is unknown. */
  | { readonly type: "failed"; readonly why: string }
  /** Nothing comes after it. */
  | { readonly type: "stopped" };
