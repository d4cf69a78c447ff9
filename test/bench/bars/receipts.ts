/**
 * Signed receipts as a gateway emits them, each connection a stream of its own in its order: one a request, one a line of a
 * long request, and segments of 256. The peer takes the same receipts, one a request, as entries; it has no other way.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { LoadJob } from "../../support/ledger-load.ts";
import { SUBMIT } from "../../support/ledger-service.ts";
import { prepareBodies } from "../ledger-bodies.ts";
import { load, type Server, startServer } from "../load.ts";
import { type Contender, contest, formatStanding, type Standing } from "./contest.ts";
import type { BarsContext, Figure } from "./frame.ts";

const SEGMENT_RECEIPTS = 256;
/**
 * Receipts of a stream that go in before it is measured: a stream is opened once, and the guard of its keys costs more than
 * the signatures of ten receipts.
 */
const OPENING = 2;
const HERE = "ledger";
const PEER = "peer, which verifies nothing";

/** How receipts are sent. */
interface Way {
  readonly name: string;
  readonly content: "calls" | "heartbeats";
  readonly path: string;
  /** Receipts of a request or line. */
  readonly receipts: number;
  readonly connections: number;
  /** Over one long request a connection, with so many lines under way. */
  readonly window?: number;
  /** Requests or lines of a connection in a round. */
  readonly requests: number;
  readonly bar: number;
  readonly hasPeer: boolean;
}

/** Files of what is sent in each round, one a connection. */
interface PreparedRounds {
  readonly bodies: readonly (readonly string[])[];
  readonly receiptBytes: number;
}

/** What `GET /metadata` says of how far a log is. */
interface LogSizes {
  readonly size: number;
  readonly checked_size: number;
}

const SINGLE = { content: "calls", receipts: 1, bar: 10_000 } as const;
const SEGMENTS = {
  path: "/segments",
  receipts: SEGMENT_RECEIPTS,
  connections: 8,
  bar: 100_000,
  hasPeer: false,
} as const;

const WAYS: readonly Way[] = [
  {
    ...SINGLE,
    name: "signed receipts, one a request",
    path: "/receipts",
    connections: 512,
    requests: 40,
    hasPeer: true,
  },
  {
    ...SINGLE,
    name: "signed receipts, one a line",
    path: "/stream",
    connections: 8,
    requests: 2560,
    window: 128,
    hasPeer: false,
  },
  { ...SEGMENTS, name: "segments of 256 signed receipts", content: "calls", requests: 16 },
  { ...SEGMENTS, name: "segments of 256 small signed receipts", content: "heartbeats", requests: 60 },
];

/** All ways. */
export async function measure(context: BarsContext): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const way of WAYS) figures.push(await measureWay(context, way));
  return figures;
}

async function measureWay(context: BarsContext, way: Way): Promise<Figure> {
  const folder = join(context.folder, String(WAYS.indexOf(way)));
  await mkdir(folder);
  const server = await startServer("ledger-process.js", [join(folder, "ledger"), "0", "receipts"]);
  const contenders: Contender[] = [{ name: HERE, server }];
  try {
    if (way.hasPeer && context.startPeer !== undefined) {
      contenders.push({ name: PEER, server: await context.startPeer(join(folder, "peer")) });
    }
    const prepared = await prepare(context, server, folder, way);
    if (openingOf(way.receipts) > 0) for (const paths of prepared.bodies) await openStreams(server, paths, way);
    const jobOf = ({ port, pid }: Server, round: number): LoadJob => {
      const paths = prepared.bodies[round] ?? [];
      const first = openingOf(way.receipts);
      const bodies = { kind: "files", paths, first } as const;
      const job = { port, connections: paths.length, milliseconds: 60_000, bodies } as const;
      return pid === server.pid ? { ...job, ...requestOf(way) } : { ...job, path: "/add", headers: {} };
    };
    const standings = await contest(context, contenders, jobOf, way.receipts);
    return figureOf(way, prepared, standings, way.receipts === 1 ? undefined : await unreadOf(server));
  } finally {
    for (const each of contenders) await each.server.stop();
  }
}

/**
 * Receipts that segments brought in and that nobody has read yet: the checks rest while segments come, for some seconds at most and
 * up to half of the backlog's bound, so that a round which is shorter measures admission alone. Above the bound segments are refused.
 */
async function unreadOf({ port }: Server): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/metadata`);
  const { size, checked_size: checked }: LogSizes = JSON.parse(await answer.text());
  return size - checked;
}

/** Segments bring their stream's first receipts with them. */
function openingOf(receipts: number): number {
  return receipts === 1 ? OPENING : 0;
}

/** Brings in the first receipts of each stream. */
async function openStreams({ port }: Server, paths: readonly string[], way: Way): Promise<void> {
  const bodies = { kind: "files", paths, count: OPENING } as const;
  const job = { port, connections: paths.length, milliseconds: 60_000, bodies, ...requestOf(way) };
  const { faults, firstFault } = await load(job);
  if (faults > 0) throw new Error(`streams could not be opened: ${firstFault}`);
}

function requestOf({ path, receipts, window }: Way): Pick<LoadJob, "path" | "headers" | "window"> {
  const type = receipts === 1 && window === undefined ? "application/json" : "application/x-ndjson";
  return { path, headers: { ...SUBMIT, "content-type": type }, ...(window === undefined ? {} : { window }) };
}

/** Streams of each round are other ones: a ledger takes a receipt once. */
async function prepare(
  { isQuick, rounds }: BarsContext,
  { port }: Server,
  folder: string,
  { content, connections, receipts, window, requests }: Way,
): Promise<PreparedRounds> {
  const plan = {
    folder,
    url: `http://127.0.0.1:${port}`,
    content,
    receipts,
    connections: isQuick ? Math.ceil(connections / 8) : connections,
    requests: (isQuick ? Math.ceil(requests / 8) : requests) + openingOf(receipts),
    isFramed: window !== undefined,
  };
  const bodies: (readonly string[])[] = [];
  let receiptBytes = 0;
  for (let round = 0; round <= rounds; round += 1) {
    const prepared = await prepareBodies({ ...plan, firstGateway: round * connections });
    bodies.push(prepared.paths);
    receiptBytes = prepared.receiptBytes;
  }
  return { bodies, receiptBytes };
}

function figureOf(
  { name, bar }: Way,
  { bodies, receiptBytes }: PreparedRounds,
  standings: ReadonlyMap<string, Standing>,
  unread: number | undefined,
): Figure {
  const [here, peer] = [standings.get(HERE), standings.get(PEER)];
  if (here === undefined) throw new Error("the ledger has no standing");
  const beside = peer === undefined ? "" : `; ${PEER}: ${formatStanding(peer)}`;
  const behind =
    unread === undefined
      ? ""
      : `; ${unread.toLocaleString("en-US")} receipts, of all rounds, wait to be read behind it`;
  return {
    what: `${name}, ${receiptBytes} B each, ${bodies[0]?.length ?? 0} connections`,
    value: here.perSecond,
    unit: "/s",
    bar,
    ...(peer === undefined ? {} : { peer: peer.perSecond }),
    note: `${formatStanding(here)}${behind}${beside}`,
  };
}
