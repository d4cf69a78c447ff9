/** The receipts of one declared window, and what obligations about windows say when there is none. */

import type { StreamWindow } from "../kernel/bundle.ts";
import type { PlacedReceipt } from "./read-entries.ts";
import type { Stream } from "./streams.ts";
import { type Doubt, doubt } from "./verdict.ts";

/** A declared window with the receipts in it, in the order of the log. */
export interface WindowReceipts {
  readonly stream: Stream;
  readonly window: StreamWindow;
  readonly receipts: readonly PlacedReceipt[];
}

/** Every declared window of every stream. */
export function windowsOf(streams: readonly Stream[]): readonly WindowReceipts[] {
  return streams.flatMap((stream) =>
    stream.windows.map((window) => ({
      stream,
      window,
      receipts: stream.receipts.filter(({ receipt: { seq } }) => seq >= window.first_seq && seq <= window.last_seq),
    })),
  );
}

/** One doubt for each stream that has receipts and no window. */
export function unwindowed(streams: readonly Stream[]): readonly Doubt[] {
  return streams
    .filter(({ windows }) => windows.length === 0)
    .map(({ stream }) => doubt("window.none", stream, "no window of the stream is declared"));
}
