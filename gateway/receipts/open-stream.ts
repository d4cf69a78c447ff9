/**
 * Opens the stream that this run writes: the current one if it may be continued, else a new one that names it.
 *
 * A stream is continued only after its tip was compared with the ledger's. Behind it (a restored backup, a rolled-back
 * disk) or unknown (ledger unreachable), continuing could sign two receipts with one number, which is a fork.
 */

import type { Predecessor } from "../../kernel/receipt/stream-open.ts";
import type { SuccessionReason } from "../../kernel/receipt/vocabulary.ts";
import type { LedgerClient } from "./ledger-client.ts";
import type { StreamFolder, StreamPlace } from "./stream-folder.ts";
import { type OpenedStreamLog, openStreamLog } from "./stream-log.ts";

/** An opened stream. */
export interface OpenedStream extends OpenedStreamLog {
  readonly place: StreamPlace;
}

/** What opening needs. */
export interface OpenStreamOptions {
  readonly folder: StreamFolder;
  readonly client: Pick<LedgerClient, "tip">;
  readonly isDurable: boolean;
}

/** Continues the current stream or starts a new one. @throws {StoreError} ERR_STREAM_FILE */
export async function openStream(options: OpenStreamOptions): Promise<OpenedStream> {
  const place = await options.folder.current();
  if (place === undefined) return startStream(options, undefined);
  const opened = await readStream(place, options.isDurable);
  const found = await compareWithLedger(opened, options.client);
  if (found.type === "continue") return opened;
  await opened.log.close();
  return startStream(options, { stream: place.stream, reason: found.reason });
}

async function startStream(
  { folder, isDurable }: OpenStreamOptions,
  predecessor: Predecessor | undefined,
): Promise<OpenedStream> {
  const place = await folder.create(predecessor);
  const opened = await readStream(place, isDurable);
  // Current before its first receipt: a crash here leaves an empty stream, which the next start continues.
  await folder.setCurrent(place.stream);
  return opened;
}

async function readStream(place: StreamPlace, isDurable: boolean): Promise<OpenedStream> {
  // One more than what is not proven: the outbox names the receipt before its first one.
  const from = Math.max(0, place.proven - 1);
  const opened = await openStreamLog({ folder: place.folder, isDurable, from });
  // A file that says more than there is cannot be right; then everything is proven again.
  if (place.proven <= opened.tip.nextSeq) return { ...opened, place };
  await opened.log.close();
  const whole = await openStreamLog({ folder: place.folder, isDurable, from: 0 });
  return { ...whole, place: { ...place, proven: 0 } };
}

type Comparison = { readonly type: "continue" } | { readonly type: "replace"; readonly reason: SuccessionReason };

async function compareWithLedger(opened: OpenedStream, client: Pick<LedgerClient, "tip">): Promise<Comparison> {
  // Never sent anywhere, so nothing can contradict it.
  if (opened.tip.nextSeq === 0) return { type: "continue" };
  if (opened.book.isClosed) return { type: "replace", reason: "rotation" };
  try {
    const tip = await client.tip(opened.place.stream);
    if (tip === undefined) return { type: "continue" };
    if (tip.nextSeq > opened.tip.nextSeq) return { type: "replace", reason: "rollback" };
    const ours = (await opened.receiptAt(tip.nextSeq - 1))?.hash;
    return ours === tip.last ? { type: "continue" } : { type: "replace", reason: "restore" };
  } catch {
    return { type: "replace", reason: "ledger-unreachable" };
  }
}
