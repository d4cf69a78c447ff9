import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { progressToAgent, requestToServer, responseToAgent } from "../../gateway/wire/bridge.ts";
import { type RpcRequest, readMessage } from "../../gateway/wire/rpc.ts";
import { applyEdits, editMembers, itemSpans, memberSpans, rawAt, spanOf } from "../../gateway/wire/spans.ts";
import { matchesTemplate } from "../../gateway/wire/uri-template.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";

function request(text: string): RpcRequest {
  const message = readMessage(formatUtf8(text), "ingress", 1_000_000);
  if (message.type !== "request") throw new Error(`want a request, got ${JSON.stringify(message)}`);
  return message;
}

function toServer(text: string, era: "modern" | "legacy", more: object = {}): string {
  return parseUtf8(requestToServer(request(text), { id: 7, era, isLine: false, ...more }));
}

describe("spans", () => {
  it("find members and items of any JSON object", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 2, "\t"), (value, space) => {
        const text = ` ${JSON.stringify(value, undefined, space)}\n`;
        const start = text.indexOf("{");
        const found = memberSpans(text, start).map(({ key, start: from, end }) => [
          key,
          JSON.parse(text.slice(from, end)),
        ]);
        expect(found).toEqual(Object.entries(JSON.parse(text)));
      }),
    );
    const text = '[1, "a,]" ,[2,[3]],{"x":[]} ]';
    expect(itemSpans(text, 0).map(({ start, end }) => text.slice(start, end))).toEqual([
      "1",
      '"a,]"',
      "[2,[3]]",
      '{"x":[]}',
    ]);
  });

  it("read escapes in keys and strings", () => {
    const text = '{"a\\"b\\\\":{"\\u0063":"x\\\\"},"d":1}';
    expect(rawAt(text, ['a"b\\', "c"])).toBe('"x\\\\"');
    expect(spanOf(text, ["e"])).toBeUndefined();
    expect(spanOf(text, ["d", "e"])).toBeUndefined();
  });

  it("replace, add and drop members, and keep the bytes of the others", () => {
    const text = '{ "a" : 1.50, "b":[ ], "c":"x" }';
    const edit = editMembers(text, { start: 0, end: text.length }, { b: "2", d: "3" }, (key) => key === "c");
    expect(edit === undefined ? "" : applyEdits(text, [edit])).toBe('{"a" : 1.50,"b":2,"d":3}');
    expect(editMembers(text, { start: 0, end: text.length }, { c: '"x"' }, () => false)).toBeUndefined();
  });
});

describe("a request on its way to a server", () => {
  it("keeps every byte but its id on a leg of its own era", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(undefined, 1), (args, space) => {
        const value = {
          jsonrpc: "2.0",
          id: "abc",
          method: "tools/call",
          params: { name: "t", arguments: { safe: args } },
        };
        const text = JSON.stringify(value, undefined, space);
        const message = readMessage(formatUtf8(text), "ingress", 1_000_000);
        fc.pre(message.type === "request");
        const sent = toServer(text, "legacy");
        expect(sent).toBe(text.replace(/"id":( ?)"abc"/u, '"id":$17'));
      }),
      { numRuns: 1000 },
    );
  });

  it("is named as the server names it", () => {
    const text = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"s__t"}}';
    const name = { path: ["params", "name"], value: "t" };
    expect(toServer(text, "legacy", { name })).toBe(
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t"}}',
    );
  });

  it("has our id as its progress token", () => {
    const text = '{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":"x","k":[1]}}}';
    expect(toServer(text, "legacy")).toContain('"_meta":{"progressToken":7,"k":[1]}');
  });

  it("loses the claims of the modern era toward a legacy server", () => {
    const meta = '"io.modelcontextprotocol/protocolVersion":"2026-07-28","k":1,"io.modelcontextprotocol/clientInfo":{}';
    expect(toServer(`{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{${meta}}}}`, "legacy")).toContain(
      '"_meta":{"k":1}',
    );
  });

  it("claims the modern era toward a modern server, and declares no capabilities", () => {
    const claim =
      '"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}';
    const head = '{"jsonrpc":"2.0","id":7,"method":"m"';
    const of = (params: string): string => toServer(`{"jsonrpc":"2.0","id":1,"method":"m"${params}}`, "modern");
    expect(of("")).toBe(`{"params":{"_meta":{${claim}}},${head.slice(1)}}`);
    expect(of(',"params":{}')).toBe(`${head},"params":{"_meta":{${claim}}}}`);
    expect(of(',"params":{"a":1}')).toBe(`${head},"params":{"_meta":{${claim}},"a":1}}`);
    const declared = claim.replace("{}", '{"sampling":{}}');
    const logLevel = '"io.modelcontextprotocol/logLevel":"debug"';
    expect(of(`,"params":{"_meta":{${declared},${logLevel}}}`)).toBe(`${head},"params":{"_meta":{${claim}}}}`);
  });

  it("is one line where a line is wanted", () => {
    const text = '{\r\n"jsonrpc":"2.0",\n"id":1,"method":"m","params":{"a":"x\\ny"}}';
    const sent = toServer(text, "legacy", { isLine: true });
    expect(sent).toBe('{  "jsonrpc":"2.0", "id":7,"method":"m","params":{"a":"x\\ny"}}');
  });
});

describe("a response on its way to an agent", () => {
  const back = (
    text: string,
    agentEra: "modern" | "legacy",
    serverEra: "modern" | "legacy",
    method = "tools/call",
  ): string => parseUtf8(responseToAgent(text, { idText: '"1"', method, agentEra, serverEra, isLine: false }));

  it("gets the agent's id in its spelling, and nothing else within an era", () => {
    const text = '{"result":{ "content" : [] , "n":1.0 },"jsonrpc":"2.0","id":7}';
    expect(back(text, "legacy", "legacy")).toBe(text.replace('"id":7', '"id":"1"'));
    expect(back(text, "modern", "modern")).toBe(text.replace('"id":7', '"id":"1"'));
  });

  it("gains and loses what one era has and the other has not", () => {
    const legacy = '{"jsonrpc":"2.0","id":7,"result":{"contents":[]}}';
    const modern =
      '{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","ttlMs":5,"cacheScope":"public","contents":[]}}';
    expect(back(legacy, "modern", "legacy", "resources/read")).toContain(
      '{"contents":[],"resultType":"complete","ttlMs":0,"cacheScope":"private"}',
    );
    expect(back(legacy, "modern", "legacy")).toContain('{"contents":[],"resultType":"complete"}');
    expect(back(modern, "legacy", "modern")).toContain('"result":{"contents":[]}');
    const missing = '{"jsonrpc":"2.0","id":7,"error":{"code":-32002,"message":"x"}}';
    expect(back(missing, "modern", "legacy")).toContain("-32602");
    expect(back(missing, "legacy", "legacy")).toContain("-32002");
  });

  it("has the agent's token in its progress", () => {
    const text = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1}}';
    expect(parseUtf8(progressToAgent(text, '"tok"', false))).toContain('"progressToken":"tok"');
  });
});

describe("URI templates", () => {
  it.each([
    ["test://template/{id}/data", "test://template/5/data", true],
    ["test://template/{id}/data", "test://template/5/dat", false],
    ["test://{a}/{b}", "test://x/y", true],
    ["test://{a}-{b}", "test://x", false],
    ["ab{x}ba", "aba", false],
    ["file:///fixed", "file:///fixed", true],
    ["file:///fixed", "file:///fixed2", false],
  ])("%s of %s: %s", (template, uri, expected) => {
    expect(matchesTemplate(template, uri)).toBe(expected);
  });
});
