import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { requestToServer, responseToAgent } from "../../gateway/wire/bridge.ts";
import { MessageEdits } from "../../gateway/wire/message-edits.ts";
import { messageValue } from "../../gateway/wire/message-value.ts";
import { META, OUR_META } from "../../gateway/wire/meta-keys.ts";
import { type RpcMessage, readMessage } from "../../gateway/wire/rpc.ts";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { isJsonObject, type JsonValue } from "../../kernel/json/value.ts";
import { codeOf } from "../support/code-of.ts";

function read(text: string): RpcMessage {
  const message = readMessage(formatUtf8(text), "egress", 1_000_000);
  if (message.type === "fault") throw new Error(`want a message, got ${message.reason}`);
  return message;
}

/** What is known of bytes, and what reading a copy of them gives: keys in their order, prototypes and all. */
function expectKnown(bytes: Uint8Array): void {
  const [known, reread] = [messageValue(bytes), messageValue(bytes.slice())];
  expect(known.text).toBe(parseUtf8(bytes));
  expect(known.isExact).toBe(reread.isExact);
  expect(known.value).toStrictEqual(reread.value);
  expect(JSON.stringify(known.value)).toBe(JSON.stringify(reread.value));
}

function memberAt(value: JsonValue | undefined, ...path: readonly string[]): JsonValue | undefined {
  return path.reduce((found, key) => (isJsonObject(found) ? found[key] : undefined), value);
}

const spaces = fc.constantFrom(undefined, 1);
const members = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("10", "9", "__proto__")), fc.jsonValue());
const metas = fc.dictionary(
  fc.constantFrom("progressToken", "x", OUR_META.mandates, ...Object.values(META)),
  fc.constantFrom("a", 1, {}),
);

describe("a message that was made of another", () => {
  it("is known as it would be read, as a request to a server of either era", () => {
    const rewrites = fc.record({
      era: fc.constantFrom("modern" as const, "legacy" as const),
      isLine: fc.boolean(),
      keepsLogLevel: fc.boolean(),
      capabilities: fc.constantFrom("{}", '{"roots":{"a":[1.50]}}'),
      state: fc.constantFrom(undefined, null, "of the server"),
      name: fc.constantFrom(undefined, { path: ["params", "name"], value: "é" }),
    });
    fc.assert(
      fc.property(members, fc.option(metas, { nil: undefined }), rewrites, spaces, (args, meta, rewrite, space) => {
        const params = {
          name: "t",
          arguments: args,
          requestState: "s",
          ...(meta === undefined ? {} : { _meta: meta }),
        };
        const message = read(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }, undefined, space));
        if (message.type !== "request") throw new Error("want a request");
        const { name, state, ...rest } = rewrite;
        const more = { ...(name === undefined ? {} : { name }), ...(state === undefined ? {} : { state }) };
        expectKnown(requestToServer(message, { id: 7, ...rest, ...more }));
      }),
    );
  });

  it("is known as it would be read, as a response to an agent of either era", () => {
    const eras = fc.constantFrom("modern" as const, "legacy" as const);
    fc.assert(
      fc.property(members, eras, eras, fc.boolean(), spaces, (result, agentEra, serverEra, hasState, space) => {
        const whole = { jsonrpc: "2.0", id: 1, result: { resultType: "complete", ...result } };
        const { text } = read(JSON.stringify(whole, undefined, space));
        const rewrite = { idText: '"\\u0061"', method: "resources/read", agentEra, serverEra, isLine: true };
        expectKnown(responseToAgent(text, hasState ? { ...rewrite, requestState: "s" } : rewrite));
      }),
    );
    const failed = read('{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"x"}}').text;
    const rewrite = {
      idText: "2",
      method: "resources/read",
      agentEra: "modern",
      serverEra: "legacy",
      isLine: false,
    } as const;
    expectKnown(responseToAgent(failed, rewrite));
  });

  it("shares with the received one what was not changed, so nothing of it is read again", () => {
    const message = read('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":[1]}}}');
    if (message.type !== "request") throw new Error("want a request");
    const sent = messageValue(requestToServer(message, { id: 7, era: "modern", isLine: false }));
    expect(memberAt(sent.value, "params", "arguments")).toBe(message.params["arguments"]);
    expect(memberAt(sent.value, "id")).toBe(7);
  });

  it("is read where it would have another value, or a fault, that the received one has not", () => {
    const { text } = read('{"jsonrpc":"2.0","id":-0,"method":"a","params":{"b":1}}');
    expect(messageValue(edited(text, ["params", "b"], "2")).isExact).toBe(false);
    expect(messageValue(edited(text, ["id"], "2")).isExact).toBe(true);
    const exact = read('{"jsonrpc":"2.0","id":0,"method":"a","params":{"b":1}}').text;
    expect(messageValue(edited(exact, ["params", "b"], "1e999")).isExact).toBe(false);
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    expectKnown(edited(exact, ["params", "b"], nested(62)));
    expect(codeOf(() => messageValue(edited(exact, ["params", "b"], nested(63))))).toBe("ERR_JSON_DEPTH");
    expect(codeOf(() => messageValue(edited(exact, ["params", "b"], "01")))).toBe("ERR_JSON_SYNTAX");
  });
});

function edited(text: string, path: readonly string[], json: string): Uint8Array {
  const edits = new MessageEdits(text);
  edits.replace(path, json);
  return edits.format(false);
}
