/**
 * `subscriptions/listen` of a modern agent (SEP-2575), answered by the gateway: what was asked for, narrowed to what servers
 * announce and policy permits, each server, resource and task with a decision of its own whose outcome is the stream's end. When
 * rules change meanwhile, each is decided anew, and a stream of which something is not permitted any more ends.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { errorCode } from "../../kernel/errors.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import type { CatalogReader, InboundCall } from "../pipeline/call.ts";
import { announces, listenMessage, ownRequest } from "../upstream/own-request.ts";
import { CHANGED_LISTS, type ChangedList, type Upstream } from "../upstream/upstream.ts";
import { META } from "../wire/meta-keys.ts";
import { RPC, refusal, resultResponse } from "../wire/rpc-error.ts";
import { type AgentAnswer, type AgentRequest, wireFacts } from "./agent-request.ts";
import { decide, withheld } from "./call-receipts.ts";
import type { ChangeFeed } from "./change-feed.ts";
import { isSubscribable } from "./local-answers.ts";
import { type Route, routeUri } from "./mount.ts";
import { NoticePacer } from "./notice-pacer.ts";
import { refuseRequest } from "./refuse.ts";
import type { RuleChanges } from "./rule-changes.ts";
import { answerToGrant, type Granted, Renewal, StandingGrants } from "./standing-grants.ts";
import { declarationRefusal } from "./task-calls.ts";
import { grantTask, type TaskListenDeps, TaskStatuses } from "./task-listen.ts";

/** What listening needs. */
export interface ListenDeps extends TaskListenDeps {
  readonly catalog: CatalogReader;
  readonly changes: ChangeFeed;
  readonly rules: RuleChanges;
  readonly nowMs: () => number;
  /** Aborted when the edge closes: streams end with their result. */
  readonly closing: AbortSignal;
}

/** Resources of one stream, and tasks. Each is a subscription of its own at its server. */
const MAX_URIS = 32;
/** A stream ends then, and is decided anew if the agent listens again: policies and credentials do not stay as they were. */
const MAX_LIFE_MS = 3_600_000;

/** What an agent asks for. */
interface Asked {
  readonly lists: readonly ChangedList[];
  readonly uris: readonly string[];
  readonly taskIds: readonly string[];
}

/** Keeps the stream open until it ends, and answers with its result. */
export async function listen(deps: ListenDeps, request: AgentRequest): Promise<AgentAnswer> {
  const asked = readAsked(request.message.params["notifications"]);
  if (asked === undefined) {
    const text = `params.notifications is missing or malformed, or names more than ${MAX_URIS} resources or tasks`;
    return refuseRequest(deps, refusal("classify", "rpc.shape", RPC.invalidParams, 200, text), request);
  }
  const undeclared = asked.taskIds.length === 0 ? undefined : declarationRefusal(deps, request);
  if (undeclared !== undefined) return refuseRequest(deps, undeclared, request);
  const stop = new AbortController();
  // An agent that goes while a server still thinks about it ends it, too.
  const cancel = (): void => stop.abort();
  for (const signal of [request.signal, deps.closing]) {
    if (signal.aborted) cancel();
    signal.addEventListener("abort", cancel, { once: true });
  }
  // Of a change between a decision and the watch it is known that it came.
  const rulesBefore = deps.rules.count;
  const standing = new StandingGrants(deps);
  const statuses = new TaskStatuses(deps, request, standing, {
    isHeld: () => updated.isHeld,
    again: (taskId) => updated.push(`${TASK_KEY}${taskId}`),
  });
  const updated = new NoticePacer((key) => {
    if (key.startsWith(TASK_KEY)) statuses.tell(key.slice(TASK_KEY.length));
    else if (standing.permits(key)) tell(request, key);
  });
  const found = await Promise.allSettled([
    ...listServers(deps, request, asked).map((one) => grantLists(deps, request, one)),
    ...asked.uris.map((uri) => grantResource(deps, request, uri, stop.signal, () => updated.push(uri))),
    ...asked.taskIds.map((id) =>
      grantTask(deps, request, id, stop.signal, (status) => {
        statuses.put(id, status);
        updated.push(`${TASK_KEY}${id}`);
      }),
    ),
  ]);
  const isLost = (await serveGranted(deps, request, { standing, updated, rulesBefore }, found)) === "withheld";
  stop.abort();
  for (const signal of [request.signal, deps.closing]) signal.removeEventListener("abort", cancel);
  updated.stop();
  await statuses.settled();
  const bytes = resultOfListen(deps, request);
  const kept = await standing.endAll(request.signal.aborted || isLost ? undefined : bytes);
  return kept && !isLost ? { httpStatus: 200, bytes } : withheld(request, undefined);
}

/** As `serveStream`; whatever fails, the stream ends as one whose receipts could not be kept, and each grant gets its outcome. */
async function serveGranted(
  deps: ListenDeps,
  request: AgentRequest,
  served: Served,
  found: readonly PromiseSettledResult<Grant>[],
): Promise<"ended" | "withheld"> {
  const grants = found.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  served.standing.add(grants.filter((one) => typeof one === "object"));
  try {
    for (const one of found) if (one.status === "rejected") throw one.reason;
    return grants.includes("withheld") ? "withheld" : await serveStream(deps, request, served);
  } catch (error) {
    deps.logger.error({ code: errorCode(error) }, "a stream ended by a fault");
    return "withheld";
  }
}

function readAsked(value: JsonValue | undefined): Asked | undefined {
  if (!isJsonObject(value)) return undefined;
  const { resourceSubscriptions, taskIds: tasks } = value;
  const [uris, taskIds] = [textsIn(resourceSubscriptions), textsIn(tasks)];
  const flags = CHANGED_LISTS.map((list) => value[`${list}ListChanged`] ?? false);
  if (uris === undefined || taskIds === undefined || !flags.every((flag) => typeof flag === "boolean"))
    return undefined;
  return { lists: CHANGED_LISTS.filter((_, at) => flags[at] === true), uris, taskIds };
}

/** Each once; undefined if it is no list of texts, or too long a one. */
function textsIn(value: JsonValue = []): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_URIS) return undefined;
  const texts = value.filter((one): one is string => typeof one === "string" && one !== "");
  return texts.length < value.length ? undefined : [...new Set(texts)];
}

/** The servers of the mount that announce changes of lists that were asked for. */
function listServers(
  { catalog, upstreams }: ListenDeps,
  { mount }: AgentRequest,
  { lists }: Asked,
): readonly { readonly upstream: Upstream; readonly lists: readonly ChangedList[] }[] {
  return mount.serverIds.flatMap((id) => {
    const upstream = upstreams.get(id);
    const announced = lists.filter((list) => announces(catalog.capabilities(id), list));
    return upstream === undefined || announced.length === 0 ? [] : [{ upstream, lists: announced }];
  });
}

type Grant = Granted | "denied" | "withheld";

/** Notices of lists have keys that no URI has. */
const LIST_KEY = " ";
/** And so have tasks. */
const TASK_KEY = "  ";

/** Lists are announced to the gateway once for all agents: nothing is sent for this one. */
async function grantLists(
  deps: ListenDeps,
  request: AgentRequest,
  { upstream, lists }: { readonly upstream: Upstream; readonly lists: readonly ChangedList[] },
): Promise<Grant> {
  const call = {
    ...subscribeCall(request, { serverId: upstream.id, name: "" }, upstream),
    isAnsweredHere: true,
  } as const;
  const decided = await decide(deps, call);
  if (decided === undefined) return "withheld";
  return decided.action === "refuse" ? "denied" : { decided, call, lists };
}

async function grantResource(
  deps: ListenDeps,
  request: AgentRequest,
  uri: string,
  signal: AbortSignal,
  onUpdated: () => void,
): Promise<Grant> {
  const route = routeUri(deps.catalog, request.mount, uri);
  const upstream = typeof route === "object" ? deps.upstreams.get(route.serverId) : undefined;
  if (typeof route === "string" || upstream === undefined || !isSubscribable(deps.catalog, upstream.id)) {
    const reason = route === "ambiguous" ? "resource.ambiguous" : "resource.unknown";
    await refuseRequest(deps, refusal("route", reason, RPC.invalidParams, 200, "no such resource is offered"), request);
    return "denied";
  }
  const watched = watchMessage(deps, upstream, route);
  const call = { ...subscribeCall(request, route, upstream), toSend: watched.bytes };
  const decided = await decide(deps, call);
  if (decided === undefined) return "withheld";
  if (decided.action === "refuse") return "denied";
  const granted = { decided, call, lists: [], uri };
  if (decided.action === "phantom") return granted;
  const toSend = { ...watched, bytes: decided.toSend, signal };
  const reply = await answerToGrant(deps, call, () => upstream.watchResource(toSend, route.name, onUpdated));
  return { ...granted, reply };
}

/** The subscription as it is sent to the server. */
function watchMessage({ software }: ListenDeps, upstream: Upstream, { name }: Route): ReturnType<typeof ownRequest> {
  const id = upstream.nextId();
  if (upstream.facts().era === "modern") return listenMessage(id, name, software);
  return ownRequest(id, "resources/subscribe", { uri: name }, "legacy", software);
}

function subscribeCall(request: AgentRequest, { serverId, name }: Route, upstream: Upstream): InboundCall {
  const { caller, session, message, received } = request;
  return {
    wire: { ...wireFacts(request), ...(name === "" ? {} : { name }) },
    caller,
    session,
    serverId,
    mount: request.mount.path,
    target: { kind: "subscribe", name },
    params: message.params,
    received,
    toSend: received,
    upstream: upstream.facts(),
  };
}

/** What a stream is served from. */
interface Served {
  readonly standing: StandingGrants;
  readonly updated: NoticePacer;
  /** Changes of rules before anything was decided. */
  readonly rulesBefore: number;
}

/** Acknowledges, then tells of changes until the stream ends. */
async function serveStream(
  deps: ListenDeps,
  request: AgentRequest,
  { standing, updated, rulesBefore }: Served,
): Promise<"ended" | "withheld"> {
  notify(request, "notifications/subscriptions/acknowledged", { notifications: standing.acknowledged() });
  if (standing.isEmpty) return "ended";
  const renewal = new Renewal(standing, updated, deps.logger);
  const unwatch = deps.changes.watch((serverId, list) => {
    if (deps.catalog.serverIds.includes(serverId) && standing.lists(serverId, list)) updated.push(`${LIST_KEY}${list}`);
  });
  const unrule = deps.rules.watch((concerns) => renewal.ask(concerns));
  try {
    if (deps.rules.count === rulesBefore) updated.start();
    else renewal.ask(() => true);
    await ended(deps, request, renewal.over);
  } finally {
    unwatch();
    unrule();
  }
  return renewal.settle();
}

/** A key is the name of a list behind a space, which no URI begins with, or the URI of a resource. */
function tell(request: AgentRequest, key: string): void {
  if (key.startsWith(LIST_KEY)) notify(request, `notifications/${key.slice(1)}/list_changed`, {});
  else notify(request, "notifications/resources/updated", { uri: key });
}

/** Nothing of the server's own words: which list, or which resource, and for which subscription. */
function notify({ notify: send, idText }: AgentRequest, method: string, params: Record<string, JsonValue>): void {
  const text = JSON.stringify({ jsonrpc: "2.0", method, params });
  const tag = `"_meta":{"${META.subscriptionId}":${idText}}`;
  const at = text.lastIndexOf("}}");
  const comma = Object.keys(params).length === 0 ? "" : ",";
  send?.(formatUtf8(`${text.slice(0, at)}${comma}${tag}${text.slice(at)}`));
}

/** Until the agent goes, the edge closes, the credential ends, the stream is too old, or nothing permits it any more. */
function ended({ closing, nowMs }: ListenDeps, { signal, caller }: AgentRequest, over: AbortSignal): Promise<void> {
  const signals = [signal, closing, over];
  const expiresMs = (caller.facts?.expiresAtMs ?? Number.POSITIVE_INFINITY) - nowMs();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      for (const one of signals) one.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, Math.max(0, Math.min(MAX_LIFE_MS, expiresMs)));
    for (const one of signals) one.addEventListener("abort", end, { once: true });
    if (signals.some(({ aborted }) => aborted)) end();
  });
}

function resultOfListen({ software }: ListenDeps, { idText }: AgentRequest): Uint8Array {
  const info = `"${META.serverInfo}":${JSON.stringify(software)}`;
  const meta = `{"${META.subscriptionId}":${idText},${info}}`;
  return resultResponse(idText, `{"resultType":"complete","_meta":${meta}}`);
}
