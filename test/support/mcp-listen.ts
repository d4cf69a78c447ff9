/** A modern agent's `subscriptions/listen`, read as it comes. */

import { claimsOf, credentialOf, type ModernAgent } from "./task-server.ts";

/** A message on the stream. */
export interface Heard {
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number; readonly data?: { readonly reason?: string } };
  readonly result?: Readonly<Record<string, unknown>>;
}

/** An open stream. */
export interface OpenListen {
  readonly status: number;
  /** Everything that came, in order. */
  readonly heard: readonly Heard[];
  /** Resolves when the gateway has ended it. */
  readonly ended: Promise<void>;
  readonly close: () => void;
}

/** Opens one for these notifications; resolves with the first message. */
export async function openListen(
  url: string,
  notifications: Readonly<Record<string, unknown>>,
  agent: ModernAgent = {},
): Promise<OpenListen> {
  const abort = new AbortController();
  const method = "subscriptions/listen";
  const response = await fetch(`${url}/mcp`, {
    method: "POST",
    signal: abort.signal,
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      Authorization: credentialOf(agent),
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": method,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: "mine", method, params: { notifications, _meta: claimsOf(agent) } }),
  });
  const heard: Heard[] = [];
  let onFirst = (): void => undefined;
  const first = new Promise<void>((resolve) => {
    onFirst = resolve;
  });
  const ended = readAll(response, (message) => {
    heard.push(message);
    onFirst();
  });
  await Promise.race([first, ended]);
  return { status: response.status, heard, ended, close: () => abort.abort() };
}

async function readAll(response: Response, onMessage: (message: Heard) => void): Promise<void> {
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
  if (!isStream) return onMessage(JSON.parse(await response.text()));
  let text = "";
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const parts = text.split("\n\n");
      text = parts.pop() ?? "";
      for (const part of parts) {
        const data = part
          .split("\n")
          .filter((line) => line.startsWith("data:"))
          .map((line) => line.slice(5));
        if (data.length > 0) onMessage(JSON.parse(data.join("\n")));
      }
    }
  } catch {
    // The agent closed it.
  }
}
