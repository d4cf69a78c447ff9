/** Ids of sessions. */

import { formatHex } from "../../kernel/hex.ts";

/** A random (version 4) UUID, lower case. @param bytes  16 random ones */
export function formatUuid(bytes: Uint8Array): string {
  const marked = Uint8Array.from(bytes, (byte, index) => {
    if (index === 6) return (byte & 0x0f) | 0x40;
    return index === 8 ? (byte & 0x3f) | 0x80 : byte;
  });
  const text = formatHex(marked);
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
}
