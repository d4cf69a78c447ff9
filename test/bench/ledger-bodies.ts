/** Prepared requests for the ledger's benchmark: signed streams, one for each connection, as files of u32 length ‖ body. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { concat, formatUint32 } from "../../kernel/bytes.ts";
import { LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { gatewayKeys, type MadeStream, makeStream } from "../support/receipts.ts";

/** Streams that are registered with a ledger, and the files of what is sent. */
export interface PreparedBodies {
  readonly paths: readonly string[];
  /** Mean bytes of a receipt. */
  readonly receiptBytes: number;
}

/** What is prepared. */
export interface BodiesPlan {
  readonly folder: string;
  /** The ledger where the streams are registered. */
  readonly url: string;
  readonly connections: number;
  /** Requests of each connection. */
  readonly requests: number;
  /** Receipts of a request: 1 sends single receipts, more sends segments. */
  readonly receipts: number;
  /** First byte of the keys: other streams than those of another plan. */
  readonly seed: number;
}

/** Signs the streams, registers them, and writes a file for each connection. */
export async function prepareBodies(plan: BodiesPlan): Promise<PreparedBodies> {
  const client = new Submitter(plan.url);
  const paths: string[] = [];
  let [bytes, count] = [0, 0];
  for (let connection = 0; connection < plan.connections; connection += 1) {
    const calls = Math.ceil((plan.requests * plan.receipts) / 2);
    const keys = gatewayKeys(plan.seed + 2 * connection);
    const stream = await client.open(makeStream({ keys, log: LEDGER_ORIGIN, calls }));
    const bodies = bodiesOf(stream, plan);
    for (const receipt of stream.receipts) bytes += receipt.bytes.length;
    count += stream.receipts.length;
    const path = join(plan.folder, `bodies-${plan.seed}-${connection}`);
    await writeFile(path, concat(...bodies.flatMap((body) => [formatUint32(body.length), body])));
    paths.push(path);
  }
  return { paths, receiptBytes: Math.round(bytes / count) };
}

function bodiesOf(stream: MadeStream, { requests, receipts }: BodiesPlan): readonly Uint8Array[] {
  return Array.from({ length: requests }, (_, i) =>
    receipts === 1
      ? (stream.receipts[i]?.bytes ?? new Uint8Array(0))
      : segmentOf(stream, i * receipts, (i + 1) * receipts),
  );
}
