/** CRC-32C (Castagnoli polynomial, reflected 0x82F63B78; RFC 3720 §B.4), eight bytes a step. */

const POLYNOMIAL = 0x82f63b78;
const SLICES = 8;
const TABLES: Int32Array = makeTables();

/** CRC-32C of `bytes` from `start` (inclusive) to `end` (exclusive), as an unsigned 32-bit integer. */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let crc = -1;
  let at = start;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (; at + SLICES <= end; at += SLICES) {
    crc ^= view.getInt32(at, true);
    const high = view.getInt32(at + 4, true);
    crc =
      table(7, crc) ^
      table(6, crc >>> 8) ^
      table(5, crc >>> 16) ^
      table(4, crc >>> 24) ^
      table(3, high) ^
      table(2, high >>> 8) ^
      table(1, high >>> 16) ^
      table(0, high >>> 24);
  }
  for (; at < end; at += 1) crc = table(0, crc ^ view.getUint8(at)) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Entry of the table that moves one byte past `slice` zero bytes. */
function table(slice: number, byte: number): number {
  return TABLES[(slice << 8) | (byte & 0xff)] ?? 0;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at += 1) {
    const shorter = tables[at - 256] ?? 0;
    tables[at] = (tables[shorter & 0xff] ?? 0) ^ (shorter >>> 8);
  }
  return tables;
}
