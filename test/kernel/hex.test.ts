import { describe, expect, it } from "vitest";
import { formatHex, isHexOf, parseHex } from "../../kernel/hex.ts";

const hash = Uint8Array.from({ length: 32 }, (_, i) => (i * 37 + 11) & 0xff);

describe("hexadecimal", () => {
  it("is known as that of some bytes exactly if it is what they format to", () => {
    for (const bytes of [hash, hash.subarray(0, 3), new Uint8Array(0)]) {
      const text = formatHex(bytes);
      expect(parseHex(text)).toEqual(bytes);
      expect(isHexOf(text, bytes)).toBe(true);
      expect(isHexOf(undefined, bytes)).toBe(false);
      expect(isHexOf(`${text}0`, bytes)).toBe(false);
      for (let i = 0; i < text.length; i += 1) {
        const other = text[i] === "0" ? "1" : "0";
        expect(isHexOf(text.slice(0, i) + other + text.slice(i + 1), bytes)).toBe(false);
        expect(isHexOf(text.slice(0, i), bytes)).toBe(false);
      }
      if (/[a-f]/u.test(text)) expect(isHexOf(text.toUpperCase(), bytes)).toBe(false);
    }
  });
});
