import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { declaredNames, hasDeclaredAlias } from "../../gateway/wire/declared-names.ts";
import { foldKey } from "../../gateway/wire/fold.ts";
import { classifyMessage, readMessage } from "../../gateway/wire/rpc.ts";
import { type Scope, scanJson } from "../../gateway/wire/scan.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { parseHex } from "../../kernel/hex.ts";
import { fixturePath } from "../support/fixtures.ts";

const MAX = 4 * 1024 * 1024;

interface Case {
  readonly id: string;
  readonly scope: Scope;
  readonly layer: "json" | "rpc";
  readonly accept: boolean;
  readonly code?: string;
  readonly text?: string;
  readonly hex?: string;
}

const fixture: { readonly cases: readonly Case[] } = JSON.parse(
  readFileSync(fixturePath("mcp", "strict-json.json"), "utf8"),
);

function bytesOf({ text, hex = "" }: Case): Uint8Array {
  return text === undefined ? parseHex(hex, hex.length / 2) : formatUtf8(text);
}

function verdictOf(bytes: Uint8Array, scope: Scope, layer: Case["layer"]): string {
  const scanned = scanJson(bytes, scope, MAX);
  if (scanned.type === "fault") return scanned.reason;
  const message = layer === "rpc" ? classifyMessage(scanned) : scanned;
  return message.type === "fault" ? message.reason : "accepted";
}

function scan(text: string, scope: Scope = "ingress"): string {
  return verdictOf(formatUtf8(text), scope, "json");
}

function call(args: string): string {
  return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":${args}}}`;
}

describe("the strict scan", () => {
  it("has cases to run", () => {
    expect(fixture.cases.length).toBeGreaterThan(50);
  });

  it.each(fixture.cases.map((item) => [item.id, item] as const))("judges %s as the fixture says", (_id, item) => {
    expect(verdictOf(bytesOf(item), item.scope, item.layer)).toBe(item.accept ? "accepted" : item.code);
  });

  it("refuses a document above the limit before it is read", () => {
    const scanned = scanJson(formatUtf8("[".repeat(100)), "ingress", 99);
    expect(scanned).toEqual({ type: "fault", reason: "json.size" });
  });

  it("refuses 10,001 members in one object, 10,001 elements in one array, and 200,001 tokens in all", () => {
    const members = Array.from({ length: 10_001 }, (_, i) => `"k${i}":0`).join(",");
    expect(scan(call(`{${members}}`))).toBe("json.members");
    expect(scan(call(`{"a":[${"0,".repeat(10_000)}0]}`))).toBe("json.members");
    expect(scan(call(`{"a":[${"0,".repeat(9_999)}0]}`))).toBe("accepted");
    const rows = Array.from({ length: 21 }, () => `[${"0,".repeat(9_999)}0]`).join(",");
    expect(scan(call(`{"a":[${rows}]}`))).toBe("json.members");
  });

  it("does not read what has too many values to its end", () => {
    const rows = Array.from({ length: 21 }, () => `[${"0,".repeat(9_999)}0]`).join(",");
    for (const end of ["]}", ""]) expect(scan(call(`{"a":[${rows}${end}`))).toBe("json.members");
    expect(scan(call('{"a":[0,0'))).toBe("json.syntax");
  });

  it("lets servers send numbers that a double rounds, and keys that agents may not", () => {
    expect(scan('{"jsonrpc":"2.0","id":1,"result":{"n":9007199254740993,"x":1e400}}', "egress")).toBe("accepted");
    expect(scan('{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"__proto__":1}}}', "egress")).toBe("accepted");
    expect(scan('{"jsonrpc":"2.0","id":1,"result":{"Content":[]}}', "egress")).toBe("json.reserved-alias");
  });

  it("refuses aliases at the four reserved levels and nowhere below them", () => {
    expect(scan('{"jsonrpc":"2.0","id":1,"result":{"_meta":{"ProgressToken":1}}}', "egress")).toBe(
      "json.reserved-alias",
    );
    expect(scan(call('{"Name":1,"ARGUMENTS":2}'))).toBe("accepted");
    expect(scan('{"jsonrpc":"2.0","id":1,"method":"m","params":{"_Meta":{}}}')).toBe("json.reserved-alias");
  });

  it("reports the first fault in the order of the table", () => {
    expect(scan(`{"Method":1,"x":{"__proto__":9007199254740993}}`)).toBe("json.reserved-alias");
    expect(scan(call('{"a":1,"A":2,"__proto__":9007199254740993}'))).toBe("json.case-collision");
    expect(scan(call('{"__proto__":9007199254740993}'))).toBe("json.proto-key");
    expect(scan("[1]")).toBe("json.shape");
  });

  it("finds a collision at any depth of arguments and inputResponses", () => {
    expect(scan(call('{"a":[{"b":{"key":1,"KEY":2}}]}'))).toBe("json.case-collision");
    const text = '{"jsonrpc":"2.0","id":1,"method":"m","params":{"inputResponses":{"a":{"s":1,"\u017f":2}}}}';
    expect(scan(text)).toBe("json.case-collision");
  });
});

describe("the fold of a key", () => {
  it.each([
    ["\u017f", "s"],
    ["\u212a", "k"],
    ["\u00df", "ss"],
    ["\uff41\uff22", "ab"],
    ["a\u0000", "a"],
    ["a\u200b ", "a"],
    ["A b", "ab"],
  ])("%j is that of %j", (key, same) => {
    expect(foldKey(key)).toBe(foldKey(same));
  });
});

describe("declared names", () => {
  const declared = declaredNames({
    properties: {
      path: {},
      o: { properties: { Key: {} } },
      list: { type: "array", items: { properties: { id: {} } } },
    },
  });

  it.each([
    [{ path: 1, other: 2, o: { Key: 1, x: 2 }, list: [{ id: 1 }] }, false],
    [{ PATH: 1 }, true],
    [{ "path\u200b": 1 }, true],
    [{ o: { key: 1 } }, true],
    [{ list: [{ id: 1 }, { ID: 1 }] }, true],
    [{ other: { PATH: 1 } }, false],
    [[{ path: 1 }], false],
  ])("judge %j: %s", (value, expected) => {
    expect(hasDeclaredAlias(value, declared)).toBe(expected);
  });

  it("are none without properties", () => {
    expect(hasDeclaredAlias({ a: 1, A: 2 }, declaredNames({ type: "object" }))).toBe(false);
  });

  it("follows references, combinations and members of any name, and ends on schemas that name themselves", () => {
    const schema = {
      $defs: {
        c: { type: "object", properties: { path: { type: "string" }, next: { $ref: "#/$defs/c" } } },
      },
      type: "object",
      properties: { cfg: { $ref: "#/$defs/c" }, list: { type: "array", items: { anyOf: [{ $ref: "#/$defs/c" }] } } },
      allOf: [{ properties: { user: { type: "string" } } }],
      additionalProperties: { $ref: "#/$defs/c" },
    };
    const declared = declaredNames(schema);
    for (const value of [
      { cfg: { PATH: "/etc/shadow" } },
      { cfg: { next: { next: { Path: "x" } } } },
      { list: [{ path: "ok" }, { pAth: "x" }] },
      { USER: "root" },
      { anything: { Path: "x" } },
    ]) {
      expect([value, hasDeclaredAlias(value, declared)]).toEqual([value, true]);
    }
    const honest = { cfg: { path: "a", next: { path: "b" } }, list: [{ path: "c" }], user: "u", other: { path: "d" } };
    expect(hasDeclaredAlias(honest, declared)).toBe(false);
  });
});

describe("JSON-RPC", () => {
  const read = (text: string, scope: Scope = "ingress"): string => {
    const message = readMessage(formatUtf8(text), scope, MAX);
    return message.type === "fault" ? message.reason : message.type;
  };

  it.each([
    ['{"jsonrpc":"2.0","id":"1","method":"ping"}', "request"],
    ['{"jsonrpc":"2.0","method":"notifications/initialized"}', "notification"],
    ['{"jsonrpc":"2.0","id":1,"result":{}}', "response"],
    ['{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}', "response"],
    ['{"jsonrpc":"2.0","id":null,"result":{}}', "rpc.id"],
    ['{"jsonrpc":"2.0","result":{}}', "rpc.id"],
    ['{"jsonrpc":"2.0","id":1}', "rpc.shape"],
    ['{"jsonrpc":"2.0","id":1,"method":""}', "rpc.shape"],
    ['{"jsonrpc":"2.0","id":1,"method":"m","params":null}', "rpc.shape"],
    ['{"jsonrpc":"2.0","id":1,"method":"m","result":{}}', "rpc.shape"],
    ['{"id":1,"method":"m"}', "rpc.version"],
  ])("reads %s as %s", (text, type) => {
    expect(read(text)).toBe(type);
  });
});

describe("params", () => {
  it.each(["[]", '"x"', "null", "5", "true"])("hold arguments and _meta that are objects, not %s", (value) => {
    for (const member of ["arguments", "_meta"]) {
      const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","${member}":${value}}}`;
      expect(readMessage(Buffer.from(text), "ingress", 10_000)).toEqual({ type: "fault", reason: "rpc.shape" });
    }
  });
});
