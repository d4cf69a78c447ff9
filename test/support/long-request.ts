/** A long request to POST /stream: bytes up when the test wants, lines down as they come. */

import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { createInterface } from "node:readline";
import { SUBMIT } from "./ledger-service.ts";

/** An open request. */
export interface LongRequest {
  readonly request: ClientRequest;
  readonly response: IncomingMessage;
  readonly send: (bytes: Uint8Array | string) => void;
  /** The next line as JSON; undefined at the end of the answer. */
  readonly line: () => Promise<unknown>;
}

/** Begins the request; resolves with the head of the answer. */
export async function openStream(
  url: string,
  headers: Record<string, string> = SUBMIT,
  query = "",
): Promise<LongRequest> {
  const up = request(`${url}/stream${query}`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson", ...headers },
  });
  up.on("error", () => undefined);
  up.flushHeaders();
  const [response]: IncomingMessage[] = await once(up, "response");
  if (response === undefined) throw new Error("no answer");
  response.on("error", () => undefined);
  const lines = createInterface({ input: response })[Symbol.asyncIterator]();
  return {
    request: up,
    response,
    send: (bytes) => void up.write(bytes),
    line: async () => {
      const { done, value } = await lines.next();
      const parsed: unknown = done === true ? undefined : JSON.parse(value);
      return parsed;
    },
  };
}
