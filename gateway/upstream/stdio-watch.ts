/**
 * Subscriptions to resources of a child that agents share: a modern one has a subscription for each of them, a legacy one
 * knows one session, and is told that nobody listens when the last of them ends. All are made again after a restart.
 */

import type { Era } from "../../kernel/receipt/vocabulary.ts";
import type { RpcNotification } from "../wire/rpc.ts";
import { type CancelSignal, firstOf } from "./cancellation.ts";
import type { Notices } from "./notices.ts";
import { listenMessage, ownRequest } from "./own-request.ts";
import { statusInNotice } from "./task-status.ts";
import type { ServerTaskStatus, UpstreamDeps, UpstreamReply, UpstreamRequest } from "./upstream.ts";

/** The child, as subscriptions see it. */
export interface WatchedChild {
  readonly notices: Notices;
  readonly nextId: () => number;
  readonly software: UpstreamDeps["software"];
  readonly era: () => Era;
  /** Wait for the acknowledgement of a subscription. */
  readonly acknowledgeMs: number;
  readonly request: (request: UpstreamRequest) => Promise<UpstreamReply>;
}

/** The subscriptions of one child. */
export class ChildWatches {
  readonly #child: WatchedChild;
  /** Who watches each URI; a restart subscribes them again. */
  readonly #byUri = new Map<string, Set<CancelSignal>>();

  constructor(child: WatchedChild) {
    this.#child = child;
    child.notices.watch({
      onRefusedRequest: () => undefined,
      onChanged: (list) => {
        if (list === undefined) this.#again();
      },
    });
  }

  /** As `Upstream.watchResource`. */
  async watch(request: UpstreamRequest, uri: string, onUpdated: () => void): Promise<UpstreamReply> {
    const { signal } = request;
    const { notices, era } = this.#child;
    const reply = await (era() === "modern" ? this.#listen(request) : this.#child.request(request));
    const isTaken = reply.type === "answered" && reply.body["error"] === undefined;
    if (!isTaken || signal.aborted) return reply;
    const stop = notices.watchUri(uri, onUpdated);
    const watchers = this.#byUri.get(uri) ?? new Set();
    this.#byUri.set(uri, watchers.add(signal));
    const end = (): void => {
      stop();
      this.#end(uri, signal);
    };
    signal.addEventListener("abort", end, { once: true });
    return reply;
  }

  /** As `Upstream.watchTask`: a child that is started anew knows no task of the one before. */
  async watchTask(request: UpstreamRequest, onStatus: (status: ServerTaskStatus) => void): Promise<UpstreamReply> {
    const stop = this.#child.notices.watchTask(request.id, (notice) => onStatus(statusInNotice(notice)));
    const reply = await this.#listen(request);
    const isTaken = reply.type === "answered" && reply.body["error"] === undefined;
    if (!isTaken || request.signal.aborted) stop();
    else request.signal.addEventListener("abort", stop, { once: true });
    return reply;
  }

  /** The acknowledgement of a modern child is a notification; an answer in its place is an error, or the end. */
  #listen(request: UpstreamRequest): Promise<UpstreamReply> {
    const late = new AbortController();
    // The subscription lasts; that it was taken is said soon, or not at all.
    const timer = setTimeout(() => late.abort(), this.#child.acknowledgeMs);
    return new Promise((resolve) => {
      const take = ({ text, value }: RpcNotification): void => {
        clearTimeout(timer);
        resolve({ type: "answered", bytes: new TextEncoder().encode(text), text, body: value });
      };
      const stop = this.#child.notices.watchAcknowledgement(request.id, take);
      const signal = firstOf([request.signal, late.signal]);
      void this.#child.request({ ...request, signal, isOpenEnded: true }).then((reply) => {
        clearTimeout(timer);
        stop();
        resolve(reply);
      });
    });
  }

  #end(uri: string, signal: CancelSignal): void {
    const watchers = this.#byUri.get(uri);
    watchers?.delete(signal);
    if (watchers === undefined || watchers.size > 0) return;
    this.#byUri.delete(uri);
    const { era, nextId, software, request } = this.#child;
    if (era() === "legacy") void request(ownRequest(nextId(), "resources/unsubscribe", { uri }, "legacy", software));
  }

  #again(): void {
    const { era, nextId, software, request } = this.#child;
    for (const [uri, signals] of this.#byUri) {
      if (era() === "legacy") {
        void request(ownRequest(nextId(), "resources/subscribe", { uri }, "legacy", software));
        continue;
      }
      for (const signal of signals) void this.#listen({ ...listenMessage(nextId(), uri, software), signal });
    }
  }
}
