/** A message is read once for everybody: what they get is what each would have read. */

import { describe, expect, it } from "vitest";
import { realWorld } from "../../gateway/real-world.ts";
import { messageValue } from "../../gateway/wire/message-value.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { codeOf } from "../support/code-of.ts";

const NUMBERS = ["0", "-0", "1.5", "9007199254740991", "9007199254740993", "1e400", "-1e-400", "0e5", "1E3", "1.0"];

describe("the value of a message", () => {
  it.each(NUMBERS)("is exact about %s exactly if exact reading takes it", (number) => {
    const bytes = formatUtf8(`{"a":[${number}],"b":"x"}`);
    const { value, isExact, text } = messageValue(bytes);
    expect(value).toEqual(parseJson(bytes, { numbers: "rounded" }));
    expect(isExact).toBe(codeOf(() => parseJson(bytes)) === "accepted");
    expect(text).toBe(`{"a":[${number}],"b":"x"}`);
  });

  it("is the same object for the same bytes, and read anew for others", () => {
    const bytes = formatUtf8('{"a":1}');
    expect(messageValue(bytes)).toBe(messageValue(bytes));
    expect(messageValue(bytes.slice())).not.toBe(messageValue(bytes));
  });

  it("is refused each time where it cannot be read", () => {
    const faults: readonly (readonly [string, string])[] = [
      ['{"a":1', "ERR_JSON_SYNTAX"],
      ['{"a":1,"a":2}', "ERR_JSON_DUPLICATE_KEY"],
      ["[".repeat(65), "ERR_JSON_DEPTH"],
    ];
    for (const [text, code] of faults) {
      const bytes = formatUtf8(text);
      for (let i = 0; i < 2; i += 1) expect(codeOf(() => messageValue(bytes))).toBe(code);
    }
  });
});

describe("random bytes of the real world", () => {
  it("are never given twice, whatever is asked for in between", () => {
    const { randomBytes } = realWorld();
    const given = Array.from({ length: 2000 }, (_, i) => randomBytes(8 + (i % 40)));
    for (const [i, bytes] of given.entries()) expect(bytes.length).toBe(8 + (i % 40));
    expect(new Set(given.map((bytes) => formatHex(bytes.subarray(0, 8)))).size).toBe(given.length);
    expect(given.every((bytes) => bytes.some((byte) => byte !== 0))).toBe(true);
    expect(randomBytes(0).length).toBe(0);
  });
});
