import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { eraOf } from "../../gateway/wire/era.ts";
import { requestRule } from "../../gateway/wire/methods.ts";
import { checkParamHeaders, decodeHeader, encodeHeader, paramHeadersOf } from "../../gateway/wire/mirrored-headers.ts";
import { paramHeaders } from "../../gateway/wire/param-headers.ts";
import { readMessage } from "../../gateway/wire/rpc.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { fixturePath } from "../support/fixtures.ts";

interface Check {
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
  readonly inputSchema?: object;
  readonly expect: { readonly status: number; readonly code?: number };
}

const fixture: {
  readonly encode: readonly { readonly value: string; readonly header: string; readonly note: string }[];
  readonly decodeRefused: readonly string[];
  readonly checks: readonly Check[];
} = JSON.parse(readFileSync(fixturePath("mcp", "headers.json"), "utf8"));

/** What the header rules make of a request: its status and code. */
function judge({ headers, body, inputSchema }: Check): { status: number; code?: number } {
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const message = readMessage(formatUtf8(JSON.stringify(body)), "ingress", 65_536);
  if (message.type !== "request") throw new Error("want a request");
  const era = eraOf(message, lower);
  if (era.type === "refusal") return { status: era.httpStatus, code: era.rpcCode };
  if (["removed", "unknown"].includes(requestRule(message.method, era.type).rule)) return { status: 404, code: -32601 };
  const mirrored = paramHeaders(JSON.stringify({ name: "t", inputSchema: inputSchema ?? {} })) ?? [];
  const fault = checkParamHeaders(lower, mirrored, message.params, "modern");
  return fault === undefined ? { status: 200 } : { status: fault.httpStatus, code: fault.rpcCode };
}

describe("mirrored headers", () => {
  it("has cases to run", () => {
    expect(fixture.checks.length).toBeGreaterThan(20);
  });

  it.each(fixture.encode.map((item) => [item.note, item] as const))("writes and reads back: %s", (_note, item) => {
    expect(encodeHeader(item.value)).toBe(item.header);
    expect(decodeHeader(item.header)).toBe(item.value);
  });

  it.each(fixture.decodeRefused)("refuses %s", (header) => {
    expect(decodeHeader(header)).toBeUndefined();
  });

  it.each(fixture.checks.map((item) => [item.id, item] as const))("judges %s as the fixture says", (_id, item) => {
    expect(judge(item)).toEqual(item.expect);
  });

  it("are made from the arguments that are sent", () => {
    const schema = {
      properties: { a: { type: "string", "x-mcp-header": "A" }, b: { type: "integer", "x-mcp-header": "B" } },
    };
    const mirrored = paramHeaders(JSON.stringify({ name: "t", inputSchema: schema })) ?? [];
    expect(paramHeadersOf(mirrored, { arguments: { a: "é", b: null } })).toEqual({ "Mcp-Param-A": "=?base64?w6k=?=" });
  });
});

describe("x-mcp-header", () => {
  const of = (inputSchema: object): readonly unknown[] | undefined =>
    paramHeaders(JSON.stringify({ name: "t", inputSchema }));

  it("is valid on scalars that properties reach", () => {
    expect(of({ properties: { o: { properties: { k: { type: "boolean", "x-mcp-header": "K" } } } } })).toEqual([
      { header: "K", path: ["o", "k"] },
    ]);
  });

  it.each([
    ["a name that is no token", { properties: { a: { type: "string", "x-mcp-header": "a b" } } }],
    [
      "two names that differ in case",
      { properties: { a: { type: "string", "x-mcp-header": "A" }, b: { type: "string", "x-mcp-header": "a" } } },
    ],
    ["an object", { properties: { a: { type: "object", "x-mcp-header": "A" } } }],
    ["an item of an array", { properties: { a: { type: "array", items: { type: "string", "x-mcp-header": "A" } } } }],
    ["the root", { type: "string", "x-mcp-header": "A" }],
  ])("makes a tool unusable on %s", (_what, schema) => {
    expect(of(schema)).toBeUndefined();
  });
});

describe("the era of a message", () => {
  const era = (text: string, headers?: Record<string, string>): unknown => {
    const message = readMessage(formatUtf8(text), "ingress", 65_536);
    if (message.type !== "request" && message.type !== "notification") throw new Error("want a call");
    const found = eraOf(message, headers);
    return found.type === "refusal" ? [found.rpcCode, found.reason] : found.type;
  };
  const claim = (meta: string, method = "tools/list"): string =>
    `{"jsonrpc":"2.0","id":1,"method":"${method}","params":{"_meta":${meta}}}`;
  const KEY = "io.modelcontextprotocol/protocolVersion";

  it("of initialize without a claim is legacy, whatever the header says", () => {
    expect(
      era('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}', { "mcp-protocol-version": "2026-07-28" }),
    ).toBe("legacy");
  });

  it.each(["null", "1", "{}"])("never falls back from a malformed claim %s", (value) => {
    expect(era(claim(`{"${KEY}":${value}}`), {})).toEqual([-32602, "mcp.claim-malformed"]);
  });

  it("is legacy without claim and header, and for a claim of a legacy version", () => {
    expect(era(claim("{}"), {})).toBe("legacy");
    expect(era(claim(`{"${KEY}":"2025-06-18"}`), {})).toBe("legacy");
  });

  it("names what is served to a version that is not", () => {
    expect(era(claim(`{"${KEY}":"2024-01-01"}`), {})).toEqual([-32022, "mcp.version-unsupported"]);
    expect(era(claim("{}"), { "mcp-protocol-version": "nonsense" })).toEqual([-32022, "mcp.version-unsupported"]);
  });

  it("needs no headers on stdio", () => {
    expect(era(claim(`{"${KEY}":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`))).toBe("modern");
  });
});
