/**
 * Raw entries of 300 bytes, one a request, acknowledged after the durable write: at 512 and at 64 connections, by the same
 * process in the same configuration. The peer runs twice, with its defaults and with batches made for latency, and each
 * figure is held against the better of the two.
 */

import { join } from "node:path";
import { SUBMIT } from "../../support/ledger-service.ts";
import { startServer } from "../load.ts";
import { type Contender, contest, formatStanding, type Standing } from "./contest.ts";
import type { BarsContext, Figure } from "./frame.ts";
import { peakMemoryOf } from "./processor-time.ts";

const ENTRY_BYTES = 300;
const BAR_PER_SECOND = 28_000;
const BAR_P50_MS = 6;
/** Entries of a batch, and connections that send them. */
const BATCH = { entries: 256, connections: 8 };
const HERE = "ledger";
const FLOOR = "bare node:http that writes and syncs";
const PEERS = [{ name: "peer" }, { name: "peer, batches of 64 or 2 ms", batch: { entries: 64, milliseconds: 2 } }];

/** The figures of the first row. */
export async function measure(context: BarsContext): Promise<readonly Figure[]> {
  const contenders = await start(context);
  try {
    const wide = await addTo(context, contenders, 512);
    const narrow = await addTo(context, contenders, 64);
    const batches = await addBatches(context, contenders[0]);
    const memory = await peakMemoryOf(contenders[0]?.server.pid ?? 0);
    return [
      {
        what: `raw entries of ${ENTRY_BYTES} B, 512 connections`,
        ...figureOf(wide, "/s", BAR_PER_SECOND, ({ perSecond }) => perSecond, Math.max),
      },
      {
        what: `the same process, 64 connections, p50`,
        ...figureOf(narrow, "ms", BAR_P50_MS, ({ p50Ms }) => p50Ms, Math.min),
      },
      batches,
      { what: "its memory at most", value: memory, unit: "MB" },
    ];
  } finally {
    for (const { server } of contenders) await server.stop();
  }
}

async function start({ folder, startPeer }: BarsContext): Promise<readonly Contender[]> {
  const server = await startServer("ledger-process.js", [join(folder, "ledger"), "0", "raw"]);
  const floor = await startServer("ledger-baseline.js", [join(folder, "floor")]);
  const contenders = [
    { name: HERE, server },
    { name: FLOOR, server: floor },
  ];
  if (startPeer === undefined) return contenders;
  for (const { name, batch } of PEERS) contenders.push({ name, server: await startPeer(join(folder, name), batch) });
  return contenders;
}

/** Every entry is new to every server: dedup is not what is measured. */
function addTo(
  context: BarsContext,
  contenders: readonly Contender[],
  connections: number,
): Promise<ReadonlyMap<string, Standing>> {
  return contest(context, contenders, ({ port }, round) => ({
    port,
    path: "/add",
    headers: SUBMIT,
    connections,
    milliseconds: round === 0 ? context.loadMs / 2 : context.loadMs,
    bodies: { kind: "random", bytes: ENTRY_BYTES, seed: connections + round },
  }));
}

/** The peer has no such request. */
async function addBatches(context: BarsContext, here: Contender | undefined): Promise<Figure> {
  if (here === undefined) throw new Error("there is no ledger");
  const { entries, connections } = BATCH;
  const standings = await contest(
    context,
    [here],
    ({ port }, round) => ({
      port,
      path: "/add-batch",
      headers: { ...SUBMIT, "content-type": "application/octet-stream" },
      connections,
      milliseconds: round === 0 ? context.loadMs / 2 : context.loadMs,
      bodies: { kind: "batch", entries, bytes: ENTRY_BYTES, seed: 1000 + round },
    }),
    entries,
  );
  const standing = standings.get(HERE);
  if (standing === undefined) throw new Error("the ledger has no standing");
  return {
    what: `the same process, batches of ${entries}, ${connections} connections`,
    value: standing.perSecond,
    unit: "/s",
    note: formatStanding(standing),
  };
}

function figureOf(
  standings: ReadonlyMap<string, Standing>,
  unit: "/s" | "ms",
  bar: number,
  read: (standing: Standing) => number,
  better: (...values: readonly number[]) => number,
): Omit<Figure, "what"> {
  const here = standings.get(HERE);
  if (here === undefined) throw new Error("the ledger has no standing");
  const peers = PEERS.flatMap(({ name }) => standings.get(name) ?? []);
  const floor = standings.get(FLOOR);
  const beside = floor === undefined ? "" : `; ${FLOOR}: ${formatStanding(floor)}`;
  return {
    value: read(here),
    unit,
    bar,
    ...(peers.length === 0 ? {} : { peer: better(...peers.map(read)) }),
    note: `${formatStanding(here)}${beside}`,
  };
}
