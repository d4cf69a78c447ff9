/**
 * A gateway in a process of its own that decides and finishes one call after another and tells the runner of each: that
 * it was dispatched, and that it was answered. Its receipts go to the real ledger, over kills of either side.
 */

import { fileURLToPath } from "node:url";
import { parseGatewayConfig } from "../../gateway/config.ts";
import { type DeclaredThread, declaredEgress } from "../../gateway/egress/egress-config.ts";
import { startUnguarded } from "../../gateway/egress/thread-guard.ts";
import { type GatewayRun, openRun } from "../../gateway/run.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";
import {
  AGENT_TOKEN,
  callOf,
  configOf,
  OPERATOR_TOKEN,
  outcomeWith,
  RULES,
  UNLIMITED,
} from "../support/gateway-run.ts";
import { LEDGER_ORIGIN, SUBMIT_TOKEN } from "../support/ledger-service.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { logger, relayPlans, report, startOptions } from "./child-side.ts";
import { untilDone } from "./progress.ts";
import { watchSealing } from "./stalling-sealing.ts";

/** What the process is started with. */
export interface GatewayStart {
  readonly dataDir: string;
  readonly ledgerUrl: string;
  readonly policy: string;
}

const CALLERS = 4;
const MAX_WARNINGS = 3;
/** A ledger leaves a witness alone for up to 30 s after failures, and waits 10 s for its answer. */
const DRAIN_LIMIT_MS = 60_000;
/** A pause between calls, so that the ledger's part of a small machine is not taken by one gateway. */
const PAUSE_MS = 15;

/** The newest warnings: while a ledger is down there are many, and they matter only if something is wrong at the end. */
const warnings: string[] = [];

const { dataDir, ledgerUrl, policy } = startOptions<GatewayStart>();
const sealing = watchSealing((step) => void report({ kind: "stalled", step }));
relayPlans(sealing.arm);
const upstream = makeFakeUpstream("s");
const ledger = { url: ledgerUrl, origin: LEDGER_ORIGIN, witness_policy: policy, submit_token_file: "unused" };
const config = parseGatewayConfig(
  configOf(dataDir, ledgerUrl, [upstream], { config: { ledger, durability: "durable", limits: UNLIMITED } }),
);
const run = await openRun({
  config,
  startThread: startUnguarded(declaredEgress(config).threads.map(stalling)),
  secrets: {
    submitToken: SUBMIT_TOKEN,
    operatorToken: OPERATOR_TOKEN,
    agentTokens: [{ principal: "example-agent", token: AGENT_TOKEN }],
    bearerTokens: new Map(),
  },
  policyFiles: bundleFiles(RULES),
  catalogFile: undefined,
  agents: "http",
  software: { name: "countersign", version: "0.1.0" },
  environment: {},
  logger: { ...logger, warn: remember },
  world: { connect: async () => upstream, wrapLog: sealing.wrapLog },
});
let isEnding = false;
const callers = Array.from({ length: CALLERS }, (_, i) => callAgain(run, i));
await report({ kind: "started", url: run.status().stream });
process.once("SIGTERM", () => {
  isEnding = true;
  void Promise.all(callers)
    .then(() => drained(run))
    .then(() => run.close())
    .then(() => process.exit(0));
});

/** Where a kill is planned at a step of the stream, the thread that writes has to stop there. */
function stalling(thread: DeclaredThread): DeclaredThread {
  if (thread.name !== "sealing") return thread;
  return { ...thread, module: fileURLToPath(new URL("./stalling-sealing.js", import.meta.url)) };
}

function remember(fields: object, message: string): void {
  warnings.push(`${message} ${JSON.stringify(fields)}`);
  if (warnings.length > MAX_WARNINGS) warnings.shift();
}

/** Makes calls until the process ends. A gateway whose outbox is full refuses, as it should; the next call tries again. */
async function callAgain({ pipeline }: GatewayRun, caller: number): Promise<void> {
  for (let i = 0; !isEnding; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    const decided = await pipeline.decide(callOf("echo", { message: `${caller}/${i}` }));
    if (decided.action !== "forward") continue;
    const { seq } = decided.receipt;
    await report({ kind: "call", state: "dispatched", seq });
    await pipeline.finish(decided.ticket, outcomeWith("done"));
    await report({ kind: "call", state: "answered", seq });
  }
}

/** Until the ledger's witnesses have proven every receipt: however many these are, some must be proven within the limit. */
async function drained({ status }: GatewayRun): Promise<void> {
  let told = Number.POSITIVE_INFINITY;
  const left = (): number => {
    const { pending } = status().outbox;
    if (pending < told) void report({ kind: "ending", left: pending });
    told = Math.min(told, pending);
    return pending;
  };
  if (await untilDone({ left, limitMs: DRAIN_LIMIT_MS })) return;
  await report({ kind: "fault", what: `the outbox did not drain: ${JSON.stringify([status().outbox, warnings])}` });
}
