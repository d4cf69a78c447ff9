import { describe, expect, it } from "vitest";
import { formatSignerKey, makeSignerKey, parseSignerKey } from "../../kernel/note/signer-key.ts";

const seed = Uint8Array.from({ length: 32 }, (_, i) => i);

describe("a private note key", () => {
  it("round-trips for every type", () => {
    for (const type of [0x01, 0x04, 0x06] as const) {
      const key = makeSignerKey("log.example/a", type, seed);
      expect(parseSignerKey(formatSignerKey(key))).toEqual(key);
    }
  });

  it("refuses every truncation and every changed character", () => {
    const text = formatSignerKey(makeSignerKey("log.example/a", 0x01, seed));
    for (let i = 0; i < text.length; i += 1) {
      expect(() => parseSignerKey(text.slice(0, i))).toThrow();
      const other = text[i] === "A" ? "B" : "A";
      const changed = `${text.slice(0, i)}${other}${text.slice(i + 1)}`;
      expect(() => parseSignerKey(changed)).toThrow();
    }
  });

  it("refuses seeds of another length, other types, and a line feed", () => {
    expect(() => makeSignerKey("a", 0x01, seed.subarray(1))).toThrow(
      expect.objectContaining({ code: "ERR_SIGNER_KEY" }),
    );
    const text = formatSignerKey(makeSignerKey("a", 0x01, seed));
    expect(() => parseSignerKey(`${text}\n`)).toThrow();
    expect(() => parseSignerKey("PRIVATE+KEY+a+00000000+AgAA")).toThrow(
      expect.objectContaining({ code: "ERR_VKEY_TYPE" }),
    );
  });
});
