/** The end of a run: everything that it opened, in the opposite order. */

import type { LeftOfRun } from "./left-of-run.ts";
import type { GatewayOptions } from "./options.ts";
import type { Pipeline } from "./pipeline/call.ts";
import type { RefusalTally } from "./pipeline/refusal-tally.ts";
import type { ReceiptPlane } from "./receipt-plane.ts";
import type { StreamFolder } from "./receipts/stream-folder.ts";
import { type ConnectedServers, closeServers } from "./servers.ts";

/** What is let go of. */
export interface ClosedParts {
  readonly options: Pick<GatewayOptions, "config" | "logger" | "drainMs">;
  readonly folder: StreamFolder;
  readonly servers: ConnectedServers;
  readonly plane: ReceiptPlane;
}

/** What writes the last receipts. */
export interface ClosedPipeline {
  readonly pipeline: Pick<Pipeline, "sealAll">;
  readonly tally: RefusalTally;
  readonly left: LeftOfRun | undefined;
}

/** How long the ledger may take to have everything. */
const DRAIN_MS = 3_000;

/** Ends what runs, seals, brings the receipts to the ledger within a bound, lets go of everything. */
export async function closeRun(
  { options, folder, servers, plane }: ClosedParts,
  { pipeline, tally, left }: ClosedPipeline,
  stopJobs: () => Promise<void>,
): Promise<void> {
  const { recorder, outbox } = plane;
  await stopJobs();
  // Calls that are still out end here, with an outcome, in front of the seals.
  await closeServers(servers);
  try {
    await tally.flush(true);
    await pipeline.sealAll("shutdown");
    // A stream that still waits for an outcome is not closed: the next start ends it.
    const isWhole = plane.opened.book.callCount === 0;
    if (options.config.close_stream === true && isWhole) await recorder.append((_secret, seq) => closeOf(seq));
  } catch (error) {
    // A dead stream cannot be sealed; the next start does it.
    options.logger.error({ err: error }, "the sessions could not be sealed");
  }
  await left?.files.settled();
  await outbox.drain(options.drainMs ?? DRAIN_MS);
  await outbox.stop();
  await recorder.close();
  await plane.payloads?.close();
  await folder.setProven(recorder.stream, outbox.status().proven).catch(() => undefined);
  await folder.release();
  servers.paced.flush();
}

function closeOf(seq: number): {
  readonly kind: "stream-close";
  readonly reason: "shutdown";
  readonly receipts: number;
} {
  return { kind: "stream-close", reason: "shutdown", receipts: seq + 1 };
}
