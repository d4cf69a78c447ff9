/**
 * What a gateway adds to a call: policy, inspection, two signed and durable receipts. In the same run the same client calls
 * the same server through a bare passthrough, so that a busy machine slows both alike.
 */

import { join } from "node:path";
import { AGENT_TOKEN } from "../../support/gateway-run.ts";
import type { LoadJob } from "../../support/ledger-load.ts";
import { type Server, startServer } from "../load.ts";
import { type Contender, contest, formatStanding, type Standing } from "./contest.ts";
import type { BarsContext, Figure } from "./frame.ts";

const BARE = "bare passthrough";
/** What the bars leave for everything else of a gateway is what lies between this and them. */
const SEALING = "passthrough that signs and syncs twice a call";
/** Policies in the bundle, each of them about the tool that is called. */
const POLICIES = [1, 20, 200] as const;
const BAR_P50_MS = 1;
const BAR_P99_MS = 4;
const BAR_SHARE = 0.2;
const CONNECTIONS = [1, 16] as const;
/** Ten thousand calls or so: a gateway that serves all day is warm, and its code is only then. */
const WARM_UP_MS = 12_000;

/** The rows of DESIGN §10 that concern the gateway. */
export async function measure(context: BarsContext): Promise<readonly Figure[]> {
  const stops: Server[] = [];
  const started = async (script: string, ...args: readonly string[]): Promise<Server> => {
    const server = await startServer(script, args);
    stops.unshift(server);
    return server;
  };
  try {
    const upstream = await started("mcp-echo-process.js");
    const ledger = await started("fake-ledger-process.js");
    const [serverUrl, ledgerUrl] = [`http://127.0.0.1:${upstream.port}/mcp`, `http://127.0.0.1:${ledger.port}`];
    const contenders: Contender[] = [{ name: BARE, server: await started("mcp-passthrough-process.js", serverUrl) }];
    const sealing = await started("mcp-sealing-passthrough-process.js", serverUrl, context.folder);
    contenders.push({ name: SEALING, server: sealing });
    for (const policies of POLICIES) {
      const folder = join(context.folder, String(policies));
      const server = await started("gateway-process.js", folder, serverUrl, ledgerUrl, String(policies));
      contenders.push({ name: nameOf(policies), server });
    }
    for (const { server } of contenders) await checkAnswer(server);
    // Many connections first: one connection then meets code that has run, as it does in a gateway that serves.
    const wide = await callOver(context, contenders, 16, WARM_UP_MS);
    const narrow = await callOver(context, contenders, 1, context.loadMs);
    return [...POLICIES.flatMap((policies) => figuresOf(policies, narrow, wide)), ...floorOf(narrow, wide)];
  } finally {
    for (const server of stops) await server.stop();
  }
}

function nameOf(policies: number): string {
  return `gateway, ${policies} ${policies === 1 ? "policy" : "policies"}`;
}

function callOver(
  context: BarsContext,
  contenders: readonly Contender[],
  connections: (typeof CONNECTIONS)[number],
  warmUpMs: number,
): Promise<ReadonlyMap<string, Standing>> {
  const isWarmUp = (round: number): boolean => round === 0 && !context.isQuick;
  return contest(context, contenders, ({ port }, round) =>
    jobOf(port, connections, isWarmUp(round) ? warmUpMs : context.loadMs),
  );
}

const BODY = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: {
    name: "echo",
    arguments: { message: "Please order 12 chairs for the meeting room.", count: 12, urgent: false },
    _meta: {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": {},
    },
  },
});
const HEADERS = {
  authorization: `Bearer ${AGENT_TOKEN}`,
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  "mcp-protocol-version": "2026-07-28",
  "mcp-method": "tools/call",
  "mcp-name": "echo",
};

function jobOf(port: number, connections: number, milliseconds: number): LoadJob {
  return { port, path: "/mcp", headers: HEADERS, connections, milliseconds, bodies: { kind: "same", text: BODY } };
}

/** A figure of refusals would be none: the answer must be the server's. */
async function checkAnswer({ port }: Server): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/mcp`, { method: "POST", headers: HEADERS, body: BODY });
  const text = await answer.text();
  if (!answer.ok || !text.includes("three days")) throw new Error(`the call was not answered: ${text.slice(0, 500)}`);
}

function figuresOf(
  policies: number,
  narrow: ReadonlyMap<string, Standing>,
  wide: ReadonlyMap<string, Standing>,
): readonly Figure[] {
  const [one, oneBare] = [standingOf(narrow, nameOf(policies)), standingOf(narrow, BARE)];
  const [many, manyBare] = [standingOf(wide, nameOf(policies)), standingOf(wide, BARE)];
  const beside = (here: Standing, bare: Standing): string =>
    `${formatStanding(here)}; ${BARE}: ${formatStanding(bare)}`;
  return [
    {
      what: `${nameOf(policies)}: added latency at one connection, p50`,
      value: one.p50Ms - oneBare.p50Ms,
      unit: "ms",
      bar: BAR_P50_MS,
      note: beside(one, oneBare),
    },
    { what: "the same, p99", value: one.p99Ms - oneBare.p99Ms, unit: "ms", bar: BAR_P99_MS },
    {
      what: "throughput at 16 connections; bar: a fifth of a bare passthrough's",
      value: many.perSecond,
      unit: "/s",
      bar: manyBare.perSecond * BAR_SHARE,
      note: beside(many, manyBare),
    },
  ];
}

/** The same of what signs and syncs and does nothing else: no gateway has less. */
function floorOf(narrow: ReadonlyMap<string, Standing>, wide: ReadonlyMap<string, Standing>): readonly Figure[] {
  const [one, oneBare, many] = [standingOf(narrow, SEALING), standingOf(narrow, BARE), standingOf(wide, SEALING)];
  return [
    { what: `${SEALING}: added latency at one connection, p50`, value: one.p50Ms - oneBare.p50Ms, unit: "ms" },
    { what: "the same, p99", value: one.p99Ms - oneBare.p99Ms, unit: "ms" },
    { what: "the same, throughput at 16 connections", value: many.perSecond, unit: "/s", note: formatStanding(many) },
  ];
}

function standingOf(standings: ReadonlyMap<string, Standing>, name: string): Standing {
  const found = standings.get(name);
  if (found === undefined) throw new Error(`${name} has no standing`);
  return found;
}
