/** What a server does unasked, told to those who watch it. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { metaOf } from "../wire/era.ts";
import { META } from "../wire/meta-keys.ts";
import type { RpcNotification } from "../wire/rpc.ts";
import type { ChangedList, UpstreamListener } from "./upstream.ts";

/** The watchers of one server. */
export interface Notices {
  readonly watch: (listener: UpstreamListener) => void;
  readonly refusedRequest: (method: string, received: Uint8Array) => void;
  /** A notification other than progress: changes of lists, of watched resources and tasks are told, everything else is dropped. */
  readonly notification: (notification: RpcNotification) => void;
  readonly changed: (list: ChangedList | undefined) => void;
  /** Tells of changes of one resource. @returns the function that ends it */
  readonly watchUri: (uri: string, onUpdated: () => void) => () => void;
  /** Tells of the tasks on the subscription with this id. @returns the function that ends it */
  readonly watchTask: (id: number, onStatus: (notice: RpcNotification) => void) => () => void;
  /** Told of the acknowledgement of the subscription with this id. @returns the function that ends it */
  readonly watchAcknowledgement: (id: number, onAcknowledged: (notification: RpcNotification) => void) => () => void;
}

const CHANGES: ReadonlyMap<string, ChangedList> = new Map([
  ["notifications/tools/list_changed", "tools"],
  ["notifications/prompts/list_changed", "prompts"],
  ["notifications/resources/list_changed", "resources"],
] as const);
const UPDATED = "notifications/resources/updated";
/** What a modern server says of a task, in the words of an answer to `tasks/get`. */
export const TASK_NOTICE = "notifications/tasks";
/** The first message on a subscription. */
export const ACKNOWLEDGED = "notifications/subscriptions/acknowledged";

/** Makes an empty list of watchers. */
export function makeNotices(): Notices {
  const listeners: UpstreamListener[] = [];
  const byUri = new Map<string, Set<() => void>>();
  const byId = new Map<number, (notification: RpcNotification) => void>();
  const tasksById = new Map<number, (notice: RpcNotification) => void>();
  const tellById = (known: typeof byId, notification: RpcNotification): void => {
    const id = metaOf(notification.params)[META.subscriptionId];
    if (typeof id === "number") known.get(id)?.(notification);
  };
  const changed = (list: ChangedList | undefined): void => {
    for (const listener of listeners) listener.onChanged(list);
  };
  const tell = (uri: string): void => {
    for (const onUpdated of [...(byUri.get(uri) ?? [])]) onUpdated();
  };
  return {
    watch: (listener) => void listeners.push(listener),
    refusedRequest: (method, received) => {
      for (const listener of listeners) listener.onRefusedRequest(method, received);
    },
    notification: (notification) => {
      const { method, params } = notification;
      const list = CHANGES.get(method);
      const { uri } = params;
      if (list !== undefined) changed(list);
      else if (method === UPDATED && typeof uri === "string") tell(uri);
      else if (method === ACKNOWLEDGED) tellById(byId, notification);
      else if (method === TASK_NOTICE) tellById(tasksById, notification);
    },
    changed: (list) => {
      changed(list);
      if (list === undefined) for (const uri of [...byUri.keys()]) tell(uri);
    },
    watchUri: (uri, onUpdated) => {
      const watchers = byUri.get(uri) ?? new Set();
      byUri.set(uri, watchers.add(onUpdated));
      return () => {
        watchers.delete(onUpdated);
        if (watchers.size === 0 && byUri.get(uri) === watchers) byUri.delete(uri);
      };
    },
    watchTask: (id, onStatus) => {
      tasksById.set(id, onStatus);
      return () => void tasksById.delete(id);
    },
    watchAcknowledgement: (id, onAcknowledged) => {
      byId.set(id, onAcknowledged);
      return () => void byId.delete(id);
    },
  };
}

/** The answer to a server's ping. */
export function answerPing(idText: string): Uint8Array {
  return formatUtf8(`{"jsonrpc":"2.0","id":${idText},"result":{}}`);
}
