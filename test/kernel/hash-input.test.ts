import { describe, expect, it } from "vitest";
import { concat, formatUint32, formatUtf8, lengthPrefixed } from "../../kernel/bytes.ts";
import { HashInput } from "../../kernel/hash-input.ts";

describe("an input of a hash", () => {
  it("is the parts behind their lengths, whatever was written before", () => {
    const input = new HashInput(64);
    for (const text of ["", "a", "é", "x".repeat(95), "x".repeat(97), "ü".repeat(200), "b"]) {
      input.putText(text);
      input.putBytes(formatUint32(text.length));
      const parts = concat(lengthPrefixed(formatUtf8(text)), lengthPrefixed(formatUint32(text.length)));
      expect(new Uint8Array(input.view())).toEqual(parts);
      input.wipe();
    }
  });

  it("keeps nothing of what was written, also where it was written over or grew", () => {
    for (const later of ["", "b", "b".repeat(500)]) {
      const input = new HashInput(256);
      input.bytes[0] = 1;
      input.length = 1;
      input.putText("a".repeat(150));
      const [first, { bytes }] = [input.view(), input];
      input.length = 1;
      input.putText(later);
      const grown = input.bytes;
      input.wipe();
      for (const memory of [first, bytes, grown, input.bytes]) expect(memory.every((byte) => byte === 0)).toBe(true);
      expect(input.length).toBe(0);
      expect(input.bytes.length).toBe(256);
    }
  });
});
