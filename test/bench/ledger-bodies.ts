/** Prepared requests for the ledger's benchmark: signed streams, one for each connection, as files of u32 length ‖ body. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { concat, formatUint32, formatUtf8 } from "../../kernel/bytes.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { damagedStream } from "../support/damaged-stream.ts";
import { LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { registrationOf, type SegmentSource, Submitter, segmentOf } from "../support/ledger-submitter.ts";
import { type GatewayKeys, makeStream } from "../support/receipts.ts";

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
  /** `calls`: decisions and outcomes, as a gateway emits them; `heartbeats`: the smallest receipts there are. */
  readonly content: "calls" | "heartbeats";
  /** Single receipts as lines. */
  readonly isFramed: boolean;
  /** Gateways have the numbers from this one on, other ones than those of another plan. Default 0. */
  readonly firstGateway?: number;
}

/** Signs the streams, registers them, and writes a file for each connection. */
export async function prepareBodies(plan: BodiesPlan): Promise<PreparedBodies> {
  const client = new Submitter(plan.url);
  const paths: string[] = [];
  let [bytes, count] = [0, 0];
  for (let connection = 0; connection < plan.connections; connection += 1) {
    const wanted = plan.requests * plan.receipts;
    const keys = keysOf((plan.firstGateway ?? 0) + connection);
    const stream =
      plan.content === "heartbeats"
        ? damagedStream(keys, wanted)
        : makeStream({ keys, log: LEDGER_ORIGIN, calls: Math.ceil(wanted / 2) });
    await client.register(registrationOf(keys));
    const bodies = bodiesOf(stream, plan);
    for (const receipt of stream.receipts) bytes += receipt.bytes.length;
    count += stream.receipts.length;
    const path = join(plan.folder, `bodies-${plan.firstGateway ?? 0}-${connection}`);
    await writeFile(path, concat(...bodies.flatMap((body) => [formatUint32(body.length), body])));
    paths.push(path);
  }
  return { paths, receiptBytes: Math.round(bytes / count) };
}

function bodiesOf(stream: SegmentSource, { requests, receipts, isFramed }: BodiesPlan): readonly Uint8Array[] {
  const end = isFramed ? formatUtf8("\n") : new Uint8Array(0);
  return Array.from({ length: requests }, (_, i) =>
    receipts === 1
      ? concat(stream.receipts[i]?.bytes ?? new Uint8Array(0), end)
      : segmentOf(stream, i * receipts, (i + 1) * receipts),
  );
}

/** Keys of the gateway with a number. */
function keysOf(gateway: number): GatewayKeys {
  const signer = (key: number): EnvelopeSigner => {
    return createSigner("ed25519", concat(new Uint8Array(28).fill(7), formatUint32(2 * gateway + key)));
  };
  return { instance: signer(0), receipt: signer(1) };
}
