/**
 * The rig of the acceptance scenarios (cosai.md §1): a real gateway over HTTP before hostile servers that count what
 * reaches them, an agent, a ledger; receipts as they are in the ledger; verdicts by the offline verifier over a log with a
 * quorum of witnesses.
 */

import { type ListedServer, pinFirstUse } from "../../gateway/catalog/catalog-file.ts";
import type { World } from "../../gateway/options.ts";
import { startGateway } from "../../gateway/start.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { ReceiptOf, StreamReceipt } from "../../kernel/receipt/receipt.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import {
  AGENT_TOKEN,
  type BenchOptions,
  checkChain,
  type GatewayBench,
  makeGatewayBench,
  OPERATOR_TOKEN,
  ofKind,
  readStream,
} from "../support/gateway-run.ts";
import type { ServerCertificate } from "../support/mcp-scripted.ts";
import { bundleFiles } from "../support/policy-request.ts";
import {
  type AnswerTask,
  CAPABILITIES,
  definitionOf,
  type HostileServer,
  type HostileTool,
  startHostileServer,
} from "./hostile-server.ts";
import { type EvidenceChange, type Judged, judgeStream } from "./judged-stream.ts";

/** A server of a scenario: its tools, and more members of its configuration. */
export interface ScenarioServer {
  readonly tools: readonly HostileTool[];
  readonly config?: JsonObject;
  /** Shown over TLS; default: plain HTTP. */
  readonly certificate?: ServerCertificate;
  /** Answers requests about tasks; then the server has the extension for them. */
  readonly tasks?: AnswerTask;
}

/** What a scenario starts with. */
export interface ScenarioOptions {
  readonly servers: Readonly<Record<string, ScenarioServer>>;
  /** The policy, in Cedar. */
  readonly rules: string;
  readonly mode?: Mode;
  /** More members of the gateway's configuration. */
  readonly config?: JsonObject;
  /** Ids of the servers that the approved catalog has. Default: those that are there at the first start. */
  readonly pinned?: readonly string[];
  /** The gateway's clock instead of the real one. */
  readonly nowMs?: () => number;
  /** The gateway's waits instead of the real ones. */
  readonly sleep?: World["sleep"];
  /** What the gateway does again and again is begun by this instead of by the real clock. */
  readonly schedule?: World["schedule"];
  /** More of what the gateway is started with, from the servers that listen and the pinned catalog, if there is one. */
  readonly bench?: (servers: readonly HostileServer[], catalog: Uint8Array | undefined) => Partial<BenchOptions>;
}

/** What an agent is answered: a result or an error of JSON-RPC. */
export interface Answer {
  readonly result?: JsonObject;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: JsonObject };
  /** The whole answer as text. */
  readonly text: string;
}

/** A running scenario. */
export interface Scenario {
  readonly url: string;
  readonly operatorUrl: string;
  readonly ledgerUrl: string;
  /** The data folder of the gateway. */
  readonly folder: string;
  /** Id of the gateway's stream. */
  readonly stream: string;
  /** Log lines of the gateway. */
  readonly log: readonly string[];
  readonly server: (id: string) => HostileServer;
  /** Calls a tool as the agent; `meta` are members of `_meta`. */
  readonly call: (tool: string, argument?: JsonObject, options?: CallOptions) => Promise<Answer>;
  readonly request: (method: string, params: JsonObject, options?: CallOptions) => Promise<Answer>;
  /** A request of an operator's route. */
  readonly operate: (method: string, path: string, body?: JsonValue, token?: string) => Promise<OperatorAnswer>;
  /** All receipts so far, each link and signature checked. */
  readonly receipts: () => Promise<readonly StreamReceipt[]>;
  readonly decisions: () => Promise<readonly ReceiptOf<"decision">[]>;
  readonly outcomes: () => Promise<readonly ReceiptOf<"outcome">[]>;
  /** Stops the gateway in order, and starts it again over the same folder. */
  readonly restart: () => Promise<void>;
  /** Stops the gateway, in order. @returns the whole stream as the ledger has it */
  readonly finish: () => Promise<readonly StreamReceipt[]>;
  /** Stops the gateway. @returns the stream as a bundle of a witnessed log, and a trust policy that pins all of it */
  readonly evidence: (change?: EvidenceChange) => Promise<Judged>;
  readonly close: () => Promise<void>;
}

/** How a call is made. */
export interface CallOptions {
  readonly meta?: JsonObject;
  /** Empty: no credential at all. */
  readonly token?: string;
  /** Conversation key of the host: calls of one key are one session. */
  readonly conversation?: string;
}

/** What an operator is answered. */
export interface OperatorAnswer {
  readonly status: number;
  readonly body: JsonValue;
}

/** Everything that the catalog has may be called. */
export const PERMIT_ALL = '@id("all") permit (principal, action in Mcp::Action::"call_tool", resource);';

const VERSION = "2026-07-28";

/** Starts one. */
export async function startScenario(options: ScenarioOptions): Promise<Scenario> {
  const { servers, rules, mode = "enforcing", config = {} } = options;
  const ledger = await startFakeLedger();
  const started = await Promise.all(
    Object.entries(servers).map(([id, { tools, certificate, tasks }]) =>
      startHostileServer(id, tools, certificate, tasks),
    ),
  );
  const catalogFile = options.pinned === undefined ? undefined : catalogOf(started, options);
  const more = options.bench?.(started, catalogFile) ?? {};
  const listed = started.map(({ id, url }) => ({ id, url, ...servers[id]?.config }));
  const bench: BenchOptions = {
    mode,
    policyFiles: bundleFiles(rules),
    ...(catalogFile === undefined ? {} : { catalogFile }),
    ...more,
    config: { servers: listed, ...config, ...more.config },
  };
  const { nowMs, sleep, schedule } = options;
  const world = {
    ...(nowMs === undefined ? {} : { nowMs }),
    ...(sleep === undefined ? {} : { sleep }),
    ...(schedule === undefined ? {} : { schedule }),
  };
  return runScenario(ledger, started, makeGatewayBench(ledger.url, bench), world);
}

async function runScenario(
  ledger: FakeLedger,
  servers: readonly HostileServer[],
  bench: GatewayBench,
  world: Partial<World>,
): Promise<Scenario> {
  let gateway = await startGateway({ ...bench.gatewayOptions, world });
  let isRunning = true;
  let id = 0;
  const stop = async (): Promise<void> => {
    if (isRunning) await gateway.close();
    isRunning = false;
  };
  const operate: Scenario["operate"] = async (method, path, body, token = OPERATOR_TOKEN) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(`${gateway.operatorUrl}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: parseJson(new Uint8Array(await answer.arrayBuffer())) };
  };
  const { body: status } = await operate("GET", "/status");
  const stream = isJsonObject(status) ? String(status["stream"]) : "";
  const request: Scenario["request"] = async (method, params, { meta = {}, token, conversation = "one" } = {}) => {
    id += 1;
    const claim = {
      "io.modelcontextprotocol/protocolVersion": VERSION,
      "vscode.conversationId": conversation,
      ...meta,
    };
    const client = { "io.modelcontextprotocol/clientInfo": { name: "scenario", version: "1" } };
    const capabilities = { "io.modelcontextprotocol/clientCapabilities": {} };
    const whole = { ...params, _meta: { ...client, ...capabilities, ...claim } };
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params: whole });
    const answer = await fetch(`${gateway.url}/mcp`, {
      method: "POST",
      headers: headersOf(method, params, token),
      body,
    });
    return answerOf(await answer.text());
  };
  const receipts = async (): Promise<readonly StreamReceipt[]> => readStream(bench.folder, stream);
  return {
    get url() {
      return gateway.url;
    },
    get operatorUrl() {
      return gateway.operatorUrl;
    },
    restart: async () => {
      await gateway.close();
      gateway = await startGateway({ ...bench.gatewayOptions, world });
    },
    ledgerUrl: ledger.url,
    folder: bench.folder,
    stream,
    log: bench.log,
    server: (name) => {
      const found = servers.find((server) => server.id === name);
      if (found === undefined) throw new Error(`no server ${name}`);
      return found;
    },
    call: (tool, argument = {}, options = {}) => request("tools/call", { name: tool, arguments: argument }, options),
    request,
    operate,
    receipts,
    decisions: async () => ofKind(await receipts(), "decision"),
    outcomes: async () => ofKind(await receipts(), "outcome"),
    finish: async () => {
      await stop();
      return checkChain(ledger.receiptsOf(stream));
    },
    evidence: async (change = {}) => {
      await stop();
      return judgeStream(ledger.entries.slice(1), checkChain(ledger.receiptsOf(stream)), bench.folder, change);
    },
    close: async () => {
      await stop();
      bench.remove();
      for (const server of servers) await server.close();
      await ledger.close();
    },
  };
}

/** The catalog of what the pinned servers list, as somebody has reviewed it. */
function catalogOf(servers: readonly HostileServer[], { pinned = [], servers: given }: ScenarioOptions): Uint8Array {
  const listed = servers
    .filter(({ id }) => pinned.includes(id))
    .map(({ id, url }): ListedServer => {
      const tools = (given[id]?.tools ?? []).map((tool) => JSON.stringify(definitionOf(tool)));
      const lists = { tools, prompts: [], resources: [], resourceTemplates: [] };
      const surface = { serverInfo: {}, capabilities: CAPABILITIES, ...lists };
      return { id, identity: { kind: "http", url }, attributes: {}, surface };
    });
  return canonicalBytes(pinFirstUse(listed));
}

function headersOf(method: string, params: JsonObject, token = AGENT_TOKEN): Record<string, string> {
  const name = params["name"] ?? params["taskId"];
  return {
    ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": VERSION,
    "mcp-method": method,
    ...(typeof name === "string" ? { "mcp-name": name } : {}),
  };
}

/** The last message of a body, which is JSON or an event stream. */
function answerOf(body: string): Answer {
  const events = [...body.matchAll(/^data: ?(.+)$/gmu)].map((match) => match[1] ?? "");
  const text = events.at(-1) ?? body;
  return { ...(JSON.parse(text) as Pick<Answer, "result" | "error">), text };
}
