/** A run of the gateway over a temporary folder, fake servers and the fake ledger; and the calls that tests make. */

import { mkdtempSync, rmSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GatewayConfig, parseGatewayConfig } from "../../gateway/config.ts";
import type { GatewayOptions } from "../../gateway/options.ts";
import type { Caller, CallOutcome, Decided, InboundCall, SessionKey } from "../../gateway/pipeline/call.ts";
import type { BundleFile } from "../../gateway/policy/bundle.ts";
import { scanFrames } from "../../gateway/receipts/frame-log.ts";
import type { StreamLog } from "../../gateway/receipts/stream-log.ts";
import { type GatewayRun, openRun } from "../../gateway/run.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { parseReceipt, type ReceiptKind, type ReceiptOf, type StreamReceipt } from "../../kernel/receipt/receipt.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { checkReceiptSignature, nextStreamState, type StreamState } from "../../kernel/stream/stream-state.ts";
import { SUBMIT_TOKEN } from "./fake-ledger.ts";
import { type FakeUpstream, makeFakeUpstream } from "./fake-upstream.ts";
import { ORIGIN, policyText } from "./log-keys.ts";
import { type ManualWorld, makeManualWorld } from "./manual-world.ts";
import { bundleFiles } from "./policy-request.ts";

/** The tokens of the run. */
export const OPERATOR_TOKEN: string = "o".repeat(40);
export const AGENT_TOKEN: string = "a".repeat(40);

/** `echo` is permitted, `wipe` is forbidden with a reason and a control. */
export const RULES = `
@id("echo") permit (principal, action == Mcp::Action::"s/echo", resource);
@id("wipe") @reason("Deleting is left to people.") @control("DORA:9")
forbid (principal, action == Mcp::Action::"s/wipe", resource);
`;

/** Limits that no load of a test or benchmark reaches. */
export const UNLIMITED: JsonObject = {
  calls_per_minute: { principal: 10_000_000, session: 10_000_000 },
};

/** What a bench can vary. */
export interface BenchOptions {
  readonly mode?: Mode;
  readonly policyFiles?: readonly BundleFile[];
  readonly upstreams?: readonly FakeUpstream[];
  readonly config?: JsonObject;
  readonly catalogFile?: Uint8Array;
  readonly world?: ManualWorld;
  readonly wrapLog?: (log: StreamLog) => StreamLog;
  readonly options?: Partial<GatewayOptions>;
}

/** A folder in which runs are opened one after another. */
export interface GatewayBench {
  readonly folder: string;
  readonly world: ManualWorld;
  readonly upstreams: readonly FakeUpstream[];
  readonly config: GatewayConfig;
  readonly gatewayOptions: GatewayOptions;
  /** Log lines as `level message`. */
  readonly log: readonly string[];
  /** The members `why` of log lines. */
  readonly whys: readonly string[];
  readonly open: () => Promise<GatewayRun>;
  /** Removes the folder; runs must be closed. */
  readonly remove: () => void;
}

/** @param ledgerUrl  of a fake ledger */
export function makeGatewayBench(ledgerUrl: string, given: BenchOptions = {}): GatewayBench {
  const folder = mkdtempSync(join(tmpdir(), "countersign-gateway-"));
  const world = given.world ?? makeManualWorld();
  const upstreams = given.upstreams ?? [makeFakeUpstream("s")];
  const config = parseGatewayConfig(configOf(folder, ledgerUrl, upstreams, given));
  const log: string[] = [];
  const whys: string[] = [];
  const say =
    (level: string) =>
    (fields: object, message: string): void => {
      log.push(`${level} ${message}`);
      if ("why" in fields) whys.push(String(fields.why));
    };
  const gatewayOptions: GatewayOptions = {
    config,
    secrets: {
      submitToken: SUBMIT_TOKEN,
      operatorToken: OPERATOR_TOKEN,
      agentTokens: [{ principal: "example-agent", token: AGENT_TOKEN }],
      bearerTokens: new Map(),
    },
    policyFiles: given.policyFiles ?? bundleFiles(RULES),
    catalogFile: given.catalogFile,
    agents: "http",
    software: { name: "countersign", version: "0.1.0" },
    environment: {},
    logger: { info: say("info"), warn: say("warn"), error: say("error") },
    world: {
      ...world.world,
      fetch,
      ...(given.wrapLog === undefined ? {} : { wrapLog: given.wrapLog }),
      connect: async ({ id }) => {
        const found = upstreams.find((upstream) => upstream.id === id);
        if (found === undefined) throw new Error(`no fake server ${id}`);
        return found;
      },
    },
    ...given.options,
  };
  return {
    folder,
    world,
    upstreams,
    config,
    gatewayOptions,
    log,
    whys,
    open: () => openRun(gatewayOptions),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The JSON of a configuration over fake servers. */
export function configOf(
  folder: string,
  ledgerUrl: string,
  upstreams: readonly { readonly id: string }[],
  { mode = "enforcing", config = {} }: BenchOptions = {},
): JsonObject {
  return {
    listen: { port: 0 },
    operator_listen: { port: 0 },
    operator_token_file: "unused",
    data_dir: folder,
    mode,
    servers: upstreams.map(({ id }) => ({ id, url: `http://${id}.example/mcp` })),
    policy: { dir: "unused" },
    catalog: { pin: "first-use" },
    ledger: { url: ledgerUrl, origin: ORIGIN, witness_policy: policyText(2), submit_token_file: "unused" },
    auth: { tokens: [{ principal: "example-agent", token_file: "unused" }] },
    // Most tests are not about the disk; those that are say "durable".
    durability: "write",
    ...config,
  };
}

/** The caller that the bench's token stands for. */
export const CALLER: Caller = {
  issuer: "local",
  name: "example-agent",
  provenance: "connection-credential",
  outcome: "verified",
};

/** A session of the caller's legacy connection. */
export const SESSION: SessionKey = { key: "session-1", source: "mcp-session-id", trust: "authenticated" };

/** A `tools/call` of server `s`. */
export function callOf(tool: string, argument: JsonObject, changes: Partial<InboundCall> = {}): InboundCall {
  const params: JsonObject = { name: tool, arguments: argument };
  const message = (id: number | string): Uint8Array =>
    formatUtf8(JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params }));
  return {
    wire: {
      transport: "http",
      era: "modern",
      revision: "2026-07-28",
      method: "tools/call",
      name: tool,
      id: "agent-id-1",
    },
    caller: CALLER,
    session: SESSION,
    serverId: "s",
    target: { kind: "tool", name: tool },
    params,
    received: message("agent-id-1"),
    toSend: message(7),
    upstream: { transport: "http", era: "modern", revision: "2026-07-28", auth: "none" },
    ...changes,
  };
}

/** An outcome whose answer is `text`. */
export function outcomeWith(text: string): CallOutcome {
  const bytes = formatUtf8(JSON.stringify({ jsonrpc: "2.0", id: 7, result: { content: [{ type: "text", text }] } }));
  return { status: "ok", effect: "done", received: bytes, returned: bytes, upstreamUs: 1_500, uninspectedBytes: 0 };
}

/** Decides, and finishes what is forwarded. @returns what was decided */
export async function runCall(run: GatewayRun, call: InboundCall): Promise<Decided["action"]> {
  const decided = await run.pipeline.decide(call);
  if (decided.action === "forward") await run.pipeline.finish(decided.ticket, outcomeWith("done"));
  return decided.action;
}

/** The receipts of a stream on disk, each checked against the one before and by its signature. */
export async function readStream(folder: string, stream: string): Promise<readonly StreamReceipt[]> {
  return checkChain(await readStreamFiles(join(folder, "streams", stream)));
}

/** The receipts in the files of a stream, in order. Only reads: the stream may be written meanwhile. */
export async function readStreamFiles(folder: string): Promise<readonly Uint8Array[]> {
  const names = (await readdir(folder)).filter((name) => /^receipts.*\.log$/u.test(name));
  const contents = await Promise.all(names.sort(byNumber).map((name) => readFile(join(folder, name))));
  return contents.flatMap((content, i) => scanFrames(new Uint8Array(content), names[i] ?? "").payloads);
}

/** `receipts.log` is the first; the others are named by the number of their first receipt. */
function byNumber(a: string, b: string): number {
  const numberOf = (name: string): number => Number(/\d+/u.exec(name)?.[0] ?? 0);
  return numberOf(a) - numberOf(b);
}

/** Checks a whole stream, link by link. */
export function checkChain(entries: readonly Uint8Array[]): readonly StreamReceipt[] {
  let state: StreamState | undefined;
  return entries.map((bytes) => {
    const receipt = parseReceipt(bytes);
    state = nextStreamState(state, receipt, bytes);
    if (receipt.seq > 0) checkReceiptSignature(state.keys, receipt);
    return receipt;
  });
}

/** The receipts of one kind. */
export function ofKind<K extends ReceiptKind>(receipts: readonly StreamReceipt[], kind: K): readonly ReceiptOf<K>[] {
  return receipts.filter((receipt): receipt is ReceiptOf<K> => receipt.kind === kind);
}
