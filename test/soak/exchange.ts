/** One request of an agent over a connection of its own, and how it ended. */

import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Fate } from "./call-book.ts";

/** One request. */
export interface Exchange {
  readonly url: string;
  readonly method?: "POST" | "DELETE";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The agent goes away so long after it has sent. */
  readonly cutMs?: number;
  /** The agent waits so long between two pieces of the answer. */
  readonly pauseMs?: number;
}

/** What came of it. */
export interface Exchanged {
  readonly fate: Fate;
  readonly sessionId: string | undefined;
}

/** No answer takes longer: the gateway gives up a server after 30 s without a byte. */
const LIMIT_MS = 240_000;

/** Never rejects. */
export function exchange({ url, method = "POST", headers, body = "", cutMs, pauseMs }: Exchange): Promise<Exchanged> {
  return new Promise((resolve) => {
    const all = { ...headers, "content-length": String(Buffer.byteLength(body)) };
    const request = httpRequest(url, { method, headers: all, agent: false });
    let isCut = false;
    const cutter = cutMs === undefined ? undefined : setTimeout(cut, cutMs);
    const limit = setTimeout(() => end({ type: "unanswered", why: `nothing within ${LIMIT_MS} ms` }), LIMIT_MS);
    function cut(): void {
      isCut = true;
      request.destroy();
    }
    function end(fate: Fate, sessionId?: string): void {
      clearTimeout(cutter);
      clearTimeout(limit);
      request.destroy();
      resolve({ fate, sessionId });
    }
    const broken = (why: string): void => end(isCut ? { type: "cut" } : { type: "unanswered", why });
    request.on("error", (error) => broken(String(error)));
    request.on("response", (response) => {
      const { "mcp-session-id": id } = response.headers;
      void readAll(response, pauseMs).then(
        (text) => end(fateOf(response, text), typeof id === "string" ? id : undefined),
        (error: unknown) => broken(`the answer broke off: ${String(error)}`),
      );
    });
    request.end(body);
  });
}

async function readAll(response: IncomingMessage, pauseMs: number | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) {
    chunks.push(chunk);
    if (pauseMs !== undefined) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  if (!response.complete) throw new Error("incomplete");
  return Buffer.concat(chunks).toString("utf8");
}

interface Answer {
  readonly result?: { readonly isError?: boolean; readonly _meta?: Readonly<Record<string, unknown>> };
  readonly error?: { readonly data?: { readonly reason?: string; readonly receipt?: string } };
}

function fateOf({ headers, statusCode }: IncomingMessage, text: string): Fate {
  const answer = parseAnswer(headers["content-type"] ?? "", text);
  if (answer === undefined) {
    if (text === "" && statusCode !== undefined && statusCode < 300) return { type: "answered" };
    return { type: "unanswered", why: `status ${statusCode} with no answer: ${text.slice(0, 200)}` };
  }
  const { result, error } = answer;
  const named = headers["countersign-receipt"] ?? error?.data?.receipt;
  const seq = typeof named === "string" ? { seq: Number(named.split("/")[1]) } : {};
  const said = error?.data?.reason ?? result?._meta?.["countersign/reason"];
  return { type: "answered", ...seq, ...(typeof said === "string" ? { reason: said } : {}) };
}

/** The message of a JSON answer, or the last one of an event stream. */
function parseAnswer(type: string, text: string): Answer | undefined {
  const lines = text.split("\n").filter((line) => line.startsWith("data: {"));
  const json = type.startsWith("text/event-stream") ? lines.at(-1)?.slice("data: ".length) : text;
  try {
    const value: Answer = JSON.parse(json ?? "");
    return value.result === undefined && value.error === undefined ? undefined : value;
  } catch {
    return undefined;
  }
}
