/** What a server says during a call: passed as it comes, or held for the answer, and cut where inspection blocks it. */

import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startGateway } from "../../gateway/start.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { AGENT_TOKEN, type GatewayBench, makeGatewayBench, ofKind, readStream } from "../support/gateway-run.ts";
import { sendRaw } from "../support/mcp-raw.ts";
import { answerAsModern, startScriptedServer } from "../support/mcp-scripted.ts";
import { bundleFiles } from "../support/policy-request.ts";

const PERMIT = '@id("all") permit (principal, action, resource);';
/** Writing that no display shows. */
const HIDDEN = [..."hidden"].map((c) => String.fromCodePoint(0xe0000 + c.charCodeAt(0))).join("");

let ledger: FakeLedger;
const open: (() => Promise<void>)[] = [];
beforeAll(async () => {
  ledger = await startFakeLedger();
});
afterAll(() => ledger.close());
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Heard {
  /** What the agent got, each message as JSON. */
  readonly messages: readonly JsonObject[];
  /** As it came: the data of events, or the body. */
  readonly texts: readonly string[];
  readonly outcome: JsonObject;
}

/** One call of a tool that says `parts` before it answers. */
async function call(
  parts: readonly string[],
  given: {
    readonly mode?: Mode;
    readonly cedar?: string;
    readonly inspection?: JsonObject;
    readonly ends?: boolean;
  } = {},
): Promise<Heard> {
  const { mode = "enforcing", cedar = PERMIT, inspection, ends = true } = given;
  let written = 0;
  let isGone = false;
  const server = await startScriptedServer((message, response) => {
    if (answerAsModern(message, response)) return;
    const send = (value: object): void =>
      void response.write(`data: ${JSON.stringify({ jsonrpc: "2.0", ...value })}\n\n`);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.once("close", () => {
      isGone = !response.writableFinished;
    });
    for (const text of parts) {
      written += 1;
      const params = { progressToken: message.id, progress: written, message: text };
      send({ method: "notifications/progress", params });
    }
    if (!ends) return;
    send({ id: message.id, result: { resultType: "complete", content: [{ type: "text", text: "done" }] } });
    response.end();
  });
  open.push(server.close);
  const bench: GatewayBench = makeGatewayBench(ledger.url, {
    mode,
    policyFiles: bundleFiles(cedar),
    config: { servers: [{ id: "s", url: server.url }], ...(inspection === undefined ? {} : { inspection }) },
  });
  const { world: _, ...options } = bench.gatewayOptions;
  const gateway = await startGateway(options);
  const answer = await sendRaw(gateway.url, {
    headers: {
      Authorization: `Bearer ${AGENT_TOKEN}`,
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": "tools/call",
      "Mcp-Name": "t",
    },
    body: '{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"t","arguments":{},"_meta":{"progressToken":"p","io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}',
  });
  if (!ends) await expect.poll(() => isGone).toBe(true);
  await gateway.close();
  const [stream = ""] = await readdir(join(bench.folder, "streams"));
  const receipts = await readStream(bench.folder, stream);
  bench.remove();
  const texts = [...answer.body.matchAll(/^data: (.*)$/gmu)].map(([, data = ""]) => data);
  const found = texts.length === 0 ? [answer.body] : texts;
  const outcome: JsonObject = JSON.parse(JSON.stringify(ofKind(receipts, "outcome").at(-1)));
  return { texts: found, messages: found.map((text) => JSON.parse(text)), outcome };
}

function said(messages: readonly JsonObject[]): readonly unknown[] {
  return messages.map(({ method, params, result }) =>
    method === undefined
      ? JSON.stringify(result).includes('"isError":true')
      : JSON.parse(JSON.stringify(params)).message,
  );
}

describe("a stream whose part is blocked", () => {
  it("is cut there: what came before stays, the call ends with an error, the server's stream is closed", async () => {
    const { messages, outcome } = await call(["one", "two", `three${HIDDEN}`, "four"], { ends: false });
    expect(said(messages)).toEqual(["one", "two", true]);
    expect(JSON.stringify(messages.at(-1))).toContain("inspect.block");
    expect(outcome).toMatchObject({
      outcome: { status: "blocked", effect: "unknown", rpc_code: { value: -31005 } },
      inspection: { state: "present", value: { findings: [{ rule: "unicode.tag", pointer: "/params/*" }] } },
      response_received: { state: "present" },
      response_returned: { state: "present" },
    });
  });

  it("is cut although the answer came with it in one piece", async () => {
    const { messages } = await call(["one", `two${HIDDEN}`]);
    expect(said(messages)).toEqual(["one", true]);
  });

  it("goes through where findings are only recorded", async () => {
    const { messages, outcome } = await call(["one", `two${HIDDEN}`], { mode: "advisory" });
    expect(said(messages)).toEqual(["one", `two${HIDDEN}`, false]);
    expect(outcome).toMatchObject({ outcome: { status: "ok" } });
  });
});

describe("a buffered tool", () => {
  const buffered = { inspection: { streams: { "s/t": "buffered" } } } as const;

  it("has what it says held until its answer has passed", async () => {
    const { messages } = await call(["one", "two"], buffered);
    expect(said(messages)).toEqual(["one", "two", false]);
    const cut = await call(["one", `two${HIDDEN}`], { ...buffered, ends: false });
    expect(said(cut.messages)).toEqual([true]);
  });

  it("is one of whose results a policy speaks, and what it says is gone with a result that is denied", async () => {
    const cedar = `${PERMIT} @id("no") forbid (principal, action == Mcp::Action::"respond:s/t", resource);`;
    const { messages } = await call(["one"], { cedar });
    expect(said(messages)).toEqual([true]);
  });

  it("is cut when it says more than may wait", async () => {
    const { messages } = await call(
      Array.from({ length: 1_025 }, () => "x"),
      { ...buffered, ends: false },
    );
    expect(said(messages)).toEqual([true]);
    expect(JSON.stringify(messages)).toContain("inspect.budget");
  });
});

describe("the statement of a cut", () => {
  it("holds the digest of what the agent got", async () => {
    const { StreamGate } = await import("../../gateway/edge/stream-gate.ts");
    const got: string[] = [];
    let isCut = false;
    const gate = new StreamGate({
      notify: (part) => void got.push(Buffer.from(part).toString("utf8")),
      watch: () => ({
        isBuffered: false,
        look: (part) =>
          part[0] === 0x21
            ? { type: "cut", refusal: { rpcCode: -31005, reason: "inspect.block", policies: [], message: "no" } }
            : { type: "pass" },
      }),
      bring: () => undefined,
      cut: () => {
        isCut = true;
      },
    });
    for (const text of ["a", "b", "!", "c"]) gate.pass(Buffer.from(text));
    expect([got, isCut]).toEqual([["a", "b"], true]);
    expect(JSON.parse(Buffer.from(gate.statement(Buffer.from("{}"))).toString("utf8"))).toEqual({
      kind: "cut-stream",
      v: 1,
      forwarded: { count: 2, bytes: 2, sha256: createHash("sha256").update("a\nb\n").digest("hex") },
      response: "{}",
    });
  });
});
