/** What a server does unasked, told to those who watch it. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import type { UpstreamListener } from "./upstream.ts";

/** The watchers of one server. */
export interface Notices {
  readonly watch: (listener: UpstreamListener) => void;
  readonly refusedRequest: (method: string, received: Uint8Array) => void;
  /** A notification other than progress: changes of lists are told, everything else is dropped. */
  readonly notification: (method: string) => void;
  readonly changed: () => void;
}

const CHANGES: ReadonlySet<string> = new Set([
  "notifications/tools/list_changed",
  "notifications/prompts/list_changed",
  "notifications/resources/list_changed",
]);

/** Makes an empty list of watchers. */
export function makeNotices(): Notices {
  const listeners: UpstreamListener[] = [];
  const changed = (): void => {
    for (const listener of listeners) listener.onChanged();
  };
  return {
    watch: (listener) => void listeners.push(listener),
    refusedRequest: (method, received) => {
      for (const listener of listeners) listener.onRefusedRequest(method, received);
    },
    notification: (method) => {
      if (CHANGES.has(method)) changed();
    },
    changed,
  };
}

/** The answer to a server's ping. */
export function answerPing(idText: string): Uint8Array {
  return formatUtf8(`{"jsonrpc":"2.0","id":${idText},"result":{}}`);
}
