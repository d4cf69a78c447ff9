/**
 * A server, as the gateway sees it: one interface over stdio and Streamable HTTP, modern and legacy. Requests are sent as
 * the bytes that they are given; what came of one is data, never an exception, because a receipt must say it.
 */

import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Effect, Revision, Status } from "../../kernel/receipt/vocabulary.ts";
import type { Logger } from "../../kernel/service/service.ts";
import type { ListedSurface, ServerIdentity, UpstreamFacts } from "../pipeline/call.ts";
import type { RpcNotification, RpcRequest } from "../wire/rpc.ts";
import type { CancelSignal } from "./cancellation.ts";
import type { SiteFetch } from "./http-client.ts";
import { connectHttp } from "./http-upstream.ts";
import type { ServerTls } from "./server-tls.ts";
import { connectStdio } from "./stdio-upstream.ts";
import type { UpstreamConfig } from "./upstream-config.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";

/** What the connection to a server is made of. */
export interface UpstreamDeps {
  /** Bearer tokens by server id, for those that have a `bearer_token_file`. */
  readonly bearerTokens: ReadonlyMap<string, string>;
  /** The environment from which a child gets the few variables that every server gets. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly fetch: SiteFetch;
  /** Reads a file that a server's `tls` names; not needed where none does. */
  readonly readFile?: ((path: string) => Uint8Array) | undefined;
  readonly logger: Logger;
  readonly nowMs: () => number;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly limits?: Partial<UpstreamLimits>;
  /** How the gateway names itself toward servers. */
  readonly software: { readonly name: string; readonly version: string };
}

/** One request toward a server. */
export interface UpstreamRequest {
  /** From `nextId`; stands in `bytes` as the JSON-RPC id, and as the progress token if there is one. */
  readonly id: number;
  readonly method: string;
  /** The mirrored headers of a modern HTTP leg, `Mcp-Name` and `Mcp-Param-*`, as they are sent. */
  readonly headers: Readonly<Record<string, string>>;
  /** The message, sent unchanged. */
  readonly bytes: Uint8Array;
  /** Called in order with the text of each progress notification, strictly scanned. */
  readonly onProgress?: (notification: string) => void;
  /** Called in order with the text of each log message on the request's own stream; without it they are dropped. */
  readonly onLog?: (notification: string) => void;
  /** Aborted when the agent cancels or goes away. */
  readonly signal: CancelSignal;
  /** The answer is the end of a subscription: it comes when it comes. */
  readonly isOpenEnded?: true;
}

/** What came of a request. */
export type UpstreamReply =
  /** A JSON-RPC response with this id, strictly scanned: `body` holds `result` or `error`. */
  | { readonly type: "answered"; readonly bytes: Uint8Array; readonly text: string; readonly body: JsonObject }
  | {
      readonly type: "failed";
      readonly status: Status;
      readonly effect: Effect;
      readonly reason: ReasonCode;
      /** What did come, if it cannot be passed on. */
      readonly bytes?: Uint8Array;
    };

/** What a server says to one agent on a session that is this agent's alone. */
export interface LegAgent {
  /** What is asked for at the handshake. */
  readonly revision: Revision;
  /** JSON text of the client capabilities that the session is opened with. */
  readonly capabilities: string;
  /**
   * The server asks the agent something.
   *
   * @param related  our id of the request on whose stream it came
   * @returns the response, under the server's id
   */
  readonly onRequest: (message: RpcRequest, received: Uint8Array, related: number | undefined) => Promise<Uint8Array>;
  /** A notification other than progress. */
  readonly onNotification: (message: RpcNotification, related: number | undefined) => void;
  /** The stream of what belongs to no request is there again after a break: something may have been missed. */
  readonly onGap: () => void;
}

/** A legacy session at a server that one session of an agent has for itself. It is opened by its first request. */
export interface UpstreamLeg extends Pick<Upstream, "facts" | "nextId" | "request"> {
  /** Sends a message that has no response. */
  readonly notify: (message: Uint8Array) => Promise<void>;
  /** Takes what the server says outside of requests, from now on until the end. */
  readonly listen: () => void;
  /** Ends the session; requests in flight fail. */
  readonly close: () => Promise<void>;
}

/** Told of what a server does unasked. */
export interface UpstreamListener {
  /** The server asked something of an agent; it was answered with an error. */
  readonly onRefusedRequest: (method: string, received: Uint8Array) => void;
  /**
   * The server says that a list changed.
   *
   * @param list  undefined if it may be any: the server was started anew, or its stream is there again after a break
   */
  readonly onChanged: (list: ChangedList | undefined) => void;
}

/** A list of a server of which a notice says that it changed. */
export const CHANGED_LISTS = ["tools", "prompts", "resources"] as const;
export type ChangedList = (typeof CHANGED_LISTS)[number];

/** What a modern server says of a task: the same in a notice as in an answer to `tasks/get`. */
export interface ServerTaskStatus {
  /** The message that says it. */
  readonly bytes: Uint8Array;
  /** JSON text of the task in it, and its value. */
  readonly text: string;
  readonly value: JsonObject;
}

/** One connected server. */
export interface Upstream {
  readonly id: string;
  readonly identity: ServerIdentity;
  readonly attributes: Readonly<Record<string, JsonValue>>;
  readonly facts: () => UpstreamFacts;
  /** Its connections, if they are TLS: what a sealed artifact says of its key is held to there. */
  readonly tls?: Pick<ServerTls, "bind" | "look">;
  /**
   * Everything that the server advertises, all pages.
   *
   * @throws {StoreError} ERR_UPSTREAM if it cannot be reached or answers something else
   * @throws {CheckError} ERR_UPSTREAM_SURFACE above a bound of number, length or time, or on a cursor that comes twice
   */
  readonly listSurface: () => Promise<ListedSurface>;
  /** The next JSON-RPC id toward this server; used once. */
  readonly nextId: () => number;
  readonly request: (request: UpstreamRequest) => Promise<UpstreamReply>;
  readonly watch: (listener: UpstreamListener) => void;
  /**
   * Subscribes to a resource: `subscriptions/listen` for it alone at a modern server, `resources/subscribe` at a legacy one.
   * Resolves with the acknowledgement; the subscription lasts until the request's signal is aborted.
   *
   * @param onUpdated  told of each change, and when one may have been missed
   */
  readonly watchResource: (request: UpstreamRequest, uri: string, onUpdated: () => void) => Promise<UpstreamReply>;
  /**
   * Subscribes to the status of a task at a modern server; absent where a server has no such thing. As `watchResource`.
   *
   * @param taskId  as the server names it
   * @param onStatus  told what the server says, and what it answers when something may have been missed
   */
  readonly watchTask?: (
    request: UpstreamRequest,
    taskId: string,
    onStatus: (status: ServerTaskStatus) => void,
  ) => Promise<UpstreamReply>;
  /** Makes a session for one agent; undefined if every agent shares what the server has. */
  readonly openLeg: ((agent: LegAgent) => UpstreamLeg | undefined) | undefined;
  /** Ends the child and its process group, or the session; requests in flight fail. */
  readonly close: () => Promise<void>;
}

/**
 * Connects a configured server: finds its era (modern first, `initialize` if it does not speak that), measures the
 * executable of a child before it is started.
 *
 * @throws {StoreError} ERR_UPSTREAM if it cannot be started or reached, or speaks no revision that we speak
 */
export function connectUpstream(config: UpstreamConfig, deps: UpstreamDeps): Promise<Upstream> {
  return config.transport === "stdio" ? connectStdio(config, deps) : connectHttp(config, deps);
}
