/** Requests to the ledger, one by one and as one long one, over a `fetch` of the test. */

import { describe, expect, it } from "vitest";
import { LedgerRequests, MAX_ANSWER_BYTES } from "../../gateway/receipts/ledger-requests.ts";
import { LedgerStream } from "../../gateway/receipts/ledger-stream.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

const askOf = (answer: Fetch): LedgerRequests["ask"] => {
  const fetchOf: typeof fetch = (input, init = {}) =>
    answer(input instanceof Request ? input.url : String(input), init);
  const requests = new LedgerRequests({ url: "http://ledger", fetch: fetchOf });
  return (path, init, limitMs) => requests.ask(path, init, limitMs);
};
const chunks = (parts: readonly Uint8Array[], isCut = false): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start: (controller) => {
      for (const part of parts) controller.enqueue(part);
      if (isCut) controller.error(new Error("cut"));
      else controller.close();
    },
  });

/** Rejects with its reason once the request's signal is aborted, as `fetch` does. */
const untilAborted = (signal: AbortSignal | null | undefined): Promise<never> =>
  new Promise((_, reject) => {
    const end = (): void => {
      const reason: unknown = signal?.reason;
      reject(reason instanceof Error ? reason : new Error("aborted"));
    };
    signal?.addEventListener("abort", end, { once: true });
  });

/** An error that tells a request that was late from one that was cut. */
const LATE = { code: "ERR_LEDGER_ANSWER", cause: { name: "TimeoutError" } };

describe("a request to the ledger", () => {
  it("is answered with all of the body, in whatever pieces it came, and follows no redirect", async () => {
    const seen: unknown[] = [];
    const ask = askOf(async (url, { method, redirect }) => {
      seen.push([url, method, redirect]);
      return new Response(chunks([formatUtf8("so"), formatUtf8("me")]), { status: 201, headers: { "x-a": "b" } });
    });
    const { status, ok, headers, bytes } = await ask("/path", { method: "POST" });
    expect([status, ok, headers.get("x-a"), parseUtf8(bytes)]).toEqual([201, true, "b", "some"]);
    expect(seen).toEqual([["http://ledger/path", "POST", "error"]]);
  });

  it("has an empty answer, and one of an error, like any other", async () => {
    const ask = askOf(async () => new Response(null, { status: 503 }));
    expect(await ask("/path")).toMatchObject({ status: 503, ok: false, bytes: new Uint8Array(0) });
  });

  it("fails where nobody answers in time, before or behind the head", async () => {
    const silent = askOf((_, { signal }) => untilAborted(signal));
    await expect(silent("/path", {}, 1)).rejects.toMatchObject(LATE);
    const stalling = askOf(async (_, { signal }) => {
      const body = new ReadableStream({
        start: (controller) => {
          untilAborted(signal).catch((error: unknown) => controller.error(error));
        },
      });
      return new Response(body);
    });
    await expect(stalling("/path", {}, 1)).rejects.toMatchObject(LATE);
  });

  it("leaves no limit behind once it is answered", async () => {
    const signals: AbortSignal[] = [];
    const ask = askOf(async (_, { signal }) => {
      if (signal instanceof AbortSignal) signals.push(signal);
      return new Response("whole");
    });
    await ask("/path", {}, 1);
    // Whatever was to happen after a millisecond has happened when a later timer fires.
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  });

  it("fails where the answer is cut off, or longer than an answer is", async () => {
    const cut = askOf(async () => new Response(chunks([formatUtf8("so")], true)));
    await expect(cut("/path")).rejects.toMatchObject({ code: "ERR_LEDGER_ANSWER" });
    const long = askOf(async () => new Response(new Uint8Array(MAX_ANSWER_BYTES + 1)));
    await expect(long("/path")).rejects.toMatchObject({ code: "ERR_LEDGER_ANSWER" });
    const longest = askOf(async () => new Response(new Uint8Array(MAX_ANSWER_BYTES)));
    expect((await longest("/path")).bytes.length).toBe(MAX_ANSWER_BYTES);
  });
});

describe("a long request to the ledger", () => {
  it("fails where a segment is not acknowledged in time, and the next segment has another one", async () => {
    let opened = 0;
    const stream = new LedgerStream((_, signal) => {
      opened += 1;
      return untilAborted(signal);
    }, 1);
    for (const count of [1, 2]) {
      await expect(stream.submit(formatUtf8("{}\n"))).rejects.toMatchObject(LATE);
      expect(opened).toBe(count);
    }
  });
});
