import { describe, expect, it } from "vitest";
import { formatBase64, parseBase64 } from "../../kernel/base64.ts";

/** Around what is spelled at once, and the lengths of hashes, keys and signatures. */
const lengths = [...Array.from({ length: 100 }, (_, i) => i), 1952, 3071, 3072, 3073, 3074, 3381, 6143, 6144, 6145];

describe("base64", () => {
  it("is what the platform writes, and is read again, whatever the length and in whatever order", () => {
    for (const length of [...lengths, ...lengths.toReversed()]) {
      const bytes = new Uint8Array(length).map((_, i) => (i * 167 + length) >>> (i % 3));
      const text = formatBase64(bytes);
      expect(text).toBe(Buffer.from(bytes).toString("base64"));
      expect(parseBase64(text, length)).toEqual(bytes);
    }
  });

  it("spells a part of some memory without what stands around it", () => {
    const memory = new Uint8Array(100).fill(255);
    for (const length of [0, 1, 2, 3, 4]) {
      expect(formatBase64(memory.subarray(10, 10 + length))).toBe(Buffer.alloc(length, 255).toString("base64"));
    }
  });
});
