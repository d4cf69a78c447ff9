import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { crc32c } from "../../ledger/storage/crc32c.ts";

// RFC 3720 §B.4 and the check value of the CRC catalogue.
const VECTORS: readonly (readonly [string, Uint8Array, number])[] = [
  ["no bytes", new Uint8Array(0), 0],
  ["123456789", formatUtf8("123456789"), 0xe3069283],
  ["32 zero bytes", new Uint8Array(32), 0x8a9136aa],
  ["32 bytes of ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ["32 rising bytes", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ["32 falling bytes", Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
];

describe("crc32c", () => {
  it.each(VECTORS)("gives the published value of %s", (_, bytes, want) => {
    expect(crc32c(bytes)).toBe(want);
  });

  it("reads only the range it is given, at any alignment", () => {
    const padded = new Uint8Array(41).fill(7);
    padded.set(
      Uint8Array.from({ length: 32 }, (_, i) => i),
      5,
    );
    expect(crc32c(padded.subarray(2), 3, 35)).toBe(0x46dd794e);
  });
});
