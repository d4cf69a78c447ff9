/**
 * stdio toward one agent: JSON lines in, JSON lines out, nothing else. One pair of streams is one launcher process and one
 * session, minted by the gateway. The first `initialize` makes unclaimed requests legacy; modern ones carry their claim.
 */

import type { Readable, Writable } from "node:stream";
import { concat } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { Caller, Refusal, SessionKey, WireFacts } from "../pipeline/call.ts";
import { LineReader } from "../upstream/line-reader.ts";
import { BATCH_REVISION, isBatch, splitBatch } from "../wire/batch.ts";
import { eraOf } from "../wire/era.ts";
import { notificationRule } from "../wire/methods.ts";
import type { LegacyRevision } from "../wire/revisions.ts";
import { type RpcMessage, type RpcNotification, type RpcRequest, readMessage } from "../wire/rpc.ts";
import { RPC, refusal, resultResponse, scanRefusal, type WireRefusal } from "../wire/rpc-error.ts";
import { AgentLegs, listChangedNotice } from "./agent-legs.ts";
import { type AgentCapabilities, type AgentRequest, declaredIn, idTextOf, NO_CAPABILITIES } from "./agent-request.ts";
import { claimConflict } from "./claim-conflict.ts";
import { type Dispatcher, makeDispatcher } from "./dispatcher.ts";
import { DEFAULT_EDGE_LIMITS, type EdgeOptions } from "./edge-options.ts";
import { readInitialize } from "./handshake.ts";
import { initializeResult } from "./local-answers.ts";
import { aggregatedMount, type Mount } from "./mount.ts";
import { NoticePacer } from "./notice-pacer.ts";
import { PendingAsks } from "./pending-asks.ts";
import { QuestionRates } from "./question-rate.ts";
import { faultResponse, refuse } from "./refuse.ts";
import { makeRunningCalls, type RunningCalls } from "./running-calls.ts";

/** An edge over two streams. */
export interface StdioEdgeOptions extends EdgeOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** The local user whose process it is. */
  readonly caller: Caller;
  /** Aborted when the process is told to stop. */
  readonly signal: AbortSignal;
}

interface Pipe {
  readonly options: StdioEdgeOptions;
  readonly dispatcher: Dispatcher;
  readonly mount: Mount;
  readonly session: SessionKey;
  readonly calls: RunningCalls;
  /** Messages that are being answered. */
  readonly tasks: Set<Promise<void>>;
  readonly maxBytes: number;
  /** Agreed by `initialize`. */
  revision: LegacyRevision | undefined;
  /** Declared by `initialize`. */
  capabilities: AgentCapabilities;
  /** Of the agent that has shaken hands. */
  legs: AgentLegs | undefined;
  readonly asks: PendingAsks;
}

const KEY_BYTES = 16;
const LINE_FEED = Uint8Array.of(0x0a);

/** Serves until the input ends or the signal is aborted; calls in flight end first, within `closeMs`. */
export async function runStdioEdge(options: StdioEdgeOptions): Promise<void> {
  const { pipeline, caller, catalog, input, output } = options;
  const limits = { ...DEFAULT_EDGE_LIMITS, ...options.limits };
  const key = formatHex(options.randomBytes(KEY_BYTES));
  const pipe: Pipe = {
    options,
    dispatcher: makeDispatcher(options),
    mount: aggregatedMount(catalog),
    session: { key, source: "launcher", trust: "gateway-minted" },
    calls: makeRunningCalls(),
    tasks: new Set(),
    maxBytes: limits.maxBodyBytes,
    revision: undefined,
    capabilities: NO_CAPABILITIES,
    legs: undefined,
    asks: new PendingAsks(new QuestionRates(() => performance.now()).ofSession(caller)),
  };
  const notices = new NoticePacer((list) => write(pipe, listChangedNotice(list)));
  notices.start();
  const unwatch = options.changes.watch((serverId, list) => {
    if (pipe.legs !== undefined && catalog.serverIds.includes(serverId)) notices.push(list);
  });
  const lines = new LineReader(limits.maxBodyBytes, {
    onLine: (line) => track(pipe, receive(pipe, line)),
    onOversize: () => track(pipe, answerRefusal(pipe, undefined, undefined, scanRefusal("json.size"))),
  });
  input.on("data", (chunk: Uint8Array) => lines.push(chunk));
  await ended(input, output, options.signal);
  input.removeAllListeners("data");
  input.destroy();
  unwatch();
  notices.stop();
  await drain(pipe, limits.closeMs);
  await pipe.legs?.close();
  await pipeline.sealSession(caller, pipe.session, "exit");
}

/** An agent that does not read any more has gone, too. */
function ended(input: Readable, output: Writable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    output.on("error", () => resolve());
    input.once("end", () => resolve());
    input.once("close", () => resolve());
    input.once("error", () => resolve());
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Lets calls in flight end; what is late is cancelled, and its outcome kept. */
async function drain({ tasks, calls, dispatcher }: Pipe, limitMs: number): Promise<void> {
  const drained = dispatcher.drained();
  const timer = setTimeout(calls.cancelAll, limitMs);
  await Promise.all(tasks);
  await drained;
  clearTimeout(timer);
}

function track({ tasks }: Pipe, task: Promise<void>): void {
  tasks.add(task);
  void task.finally(() => tasks.delete(task));
}

/** A batch of revision 2025-03-26: each message is handled as if it had come alone, and its answer goes out alone, too. */
async function receiveBatch(pipe: Pipe, line: Uint8Array): Promise<void> {
  const items = pipe.revision === BATCH_REVISION ? splitBatch(line, pipe.maxBytes) : undefined;
  if (items !== undefined && !("type" in items)) {
    await Promise.all(items.map((item) => receiveMember(pipe, item)));
    return;
  }
  await (items === undefined
    ? refuseBatch(pipe, line)
    : answerRefusal(pipe, undefined, line, scanRefusal(items.reason)));
}

/** SPEC MCP 2025-03-26: `initialize` is no part of a batch. */
function receiveMember(pipe: Pipe, item: Uint8Array): Promise<void> {
  if (isBatch(item)) return refuseBatch(pipe, item);
  const message = readMessage(item, "ingress", pipe.maxBytes);
  if (message.type !== "request" || message.method !== "initialize") return receive(pipe, item);
  const text = "initialize stands in no batch";
  return answerRefusal(pipe, message, item, refusal("classify", "rpc.shape", RPC.invalidRequest, 200, text));
}

function refuseBatch(pipe: Pipe, line: Uint8Array): Promise<void> {
  const message = `a batch is taken after initialize with revision ${BATCH_REVISION}, and nowhere else`;
  return answerRefusal(pipe, undefined, line, { ...scanRefusal("json.shape"), message });
}

async function receive(pipe: Pipe, line: Uint8Array): Promise<void> {
  if (isBatch(line)) return receiveBatch(pipe, line);
  const message = readMessage(line, "ingress", pipe.maxBytes);
  try {
    if (message.type === "fault") await answerRefusal(pipe, undefined, line, scanRefusal(message.reason));
    else await handle(pipe, message, line);
  } catch (error) {
    const idText = message.type === "request" ? idTextOf(message) : undefined;
    const bytes = faultResponse(pipe.options.logger, error, idText);
    if (idText !== undefined) write(pipe, bytes);
  }
}

async function handle(pipe: Pipe, message: RpcMessage, line: Uint8Array): Promise<void> {
  if (message.type === "response") {
    if (pipe.asks.answer(message, line)) return;
    const text = "no request was sent to this agent";
    return answerRefusal(pipe, message, line, refusal("classify", "rpc.shape", RPC.invalidRequest, 400, text));
  }
  const era = eraOf(message, undefined);
  if (era.type === "refusal") return answerRefusal(pipe, message, line, era);
  if (message.type === "notification") return handleNotification(pipe, message, line, era.type);
  if (era.type === "modern") {
    const capabilities = declaredIn(message);
    return answerRequest(pipe, message, line, { era: "modern", revision: era.revision, capabilities, legs: undefined });
  }
  if (message.method === "initialize") return initialize(pipe, message, line);
  if (pipe.revision !== undefined) {
    const { revision, capabilities, legs } = pipe;
    return answerRequest(pipe, message, line, { era: "legacy", revision, capabilities, legs });
  }
  const text = "want initialize first, or a modern request with its version in _meta";
  return answerRefusal(pipe, message, line, refusal("session", "session.required", RPC.invalidRequest, 400, text));
}

async function initialize(pipe: Pipe, message: RpcRequest, line: Uint8Array): Promise<void> {
  const agreed = claimConflict(pipe.options, message, pipe.options.caller) ?? readInitialize(message);
  if (agreed.type === "refusal") return answerRefusal(pipe, message, line, agreed);
  const { revision, capabilities } = agreed;
  pipe.revision = revision;
  pipe.capabilities = capabilities;
  await pipe.legs?.close();
  pipe.legs = legsOf(pipe, revision);
  write(pipe, resultResponse(idTextOf(message), initializeResult(pipe.options, pipe.mount, revision)));
}

/** What servers say to this agent alone; it always listens. */
function legsOf(pipe: Pipe, revision: LegacyRevision): AgentLegs {
  const { options, session, capabilities, asks, mount } = pipe;
  const legs = new AgentLegs({
    tasks: pipe.dispatcher.tasks,
    rules: options.rules,
    pipeline: options.pipeline,
    logger: options.logger,
    agent: { caller: options.caller, session, transport: "stdio", revision, capabilities: capabilities.value, asks },
    capabilities: capabilities.text,
    tell: (message) => {
      write(pipe, message);
      return true;
    },
  });
  legs.listen(mount.serverIds.flatMap((id) => options.upstreams.get(id) ?? []));
  return legs;
}

async function answerRequest(
  pipe: Pipe,
  message: RpcRequest,
  received: Uint8Array,
  leg: Pick<AgentRequest, "era" | "revision" | "capabilities" | "legs">,
): Promise<void> {
  const { calls, dispatcher, mount, session, options } = pipe;
  const { signal, done } = calls.start(message.id);
  try {
    const answer = await dispatcher.answer({
      message,
      received,
      idText: idTextOf(message),
      transport: "stdio",
      caller: options.caller,
      session,
      mount,
      headers: undefined,
      signal,
      untilWritten: undefined,
      notify: (notification) => write(pipe, notification),
      ...leg,
    });
    write(pipe, answer.bytes);
  } finally {
    done();
  }
}

async function handleNotification(
  pipe: Pipe,
  message: RpcNotification,
  line: Uint8Array,
  era: "modern" | "legacy",
): Promise<void> {
  const rule = notificationRule(message.method, era, "stdio");
  const { requestId } = message.params;
  if (rule === "cancel" && (typeof requestId === "string" || typeof requestId === "number")) {
    pipe.calls.cancel(requestId);
  }
  if (rule === "roots-changed") await pipe.legs?.tellRootsChanged();
  if (rule !== "refuse") return;
  const text = "the gateway does not carry this notification";
  const refused = refusal("classify", "mcp.notification-refused", RPC.invalidRequest, 400, text);
  // A notification has no answer; the receipt is what remains of it.
  await refuse(pipe.options, refused, factsOf(pipe, message, line), undefined);
}

async function answerRefusal(
  pipe: Pipe,
  message: RpcMessage | undefined,
  line: Uint8Array | undefined,
  refused: WireRefusal,
): Promise<void> {
  const idText = message?.type === "request" ? idTextOf(message) : undefined;
  const answer = await refuse(pipe.options, refused, factsOf(pipe, message, line), idText);
  if (message?.type !== "notification") write(pipe, answer.bytes);
}

function factsOf(
  { options, session }: Pipe,
  message: RpcMessage | undefined,
  line: Uint8Array | undefined,
): Omit<Refusal, "step" | "reason"> {
  const isCall = message?.type === "request" || message?.type === "notification";
  const method = isCall ? { method: message.method } : {};
  const id = message?.type === "request" ? { id: message.id } : {};
  const wire: WireFacts = { transport: "stdio", ...method, ...id };
  return { wire, caller: options.caller, session, ...(line === undefined ? {} : { received: line }) };
}

function write({ options }: Pipe, message: Uint8Array): void {
  const { input, output } = options;
  if (!output.writable || output.write(concat(message, LINE_FEED)) || input.isPaused()) return;
  // An agent that does not read is not read either: what it is owed stays bounded by what it has asked.
  input.pause();
  output.once("drain", () => input.resume());
}
