/**
 * CBOR values as the kernel holds them (docs/formats/cbor.md): what COSE needs, and nothing that two decoders could read
 * differently. Integers are bigint throughout, keys are integers or text; there are no floats and no `undefined`.
 */

/** A map key: an integer label or a text. */
export type CborKey = bigint | string;

/** A map; the order of its members is kept from the bytes that it was read from. */
export type CborMap = ReadonlyMap<CborKey, CborValue>;

/** A tagged value. */
export interface CborTag {
  readonly tag: bigint;
  readonly value: CborValue;
}

/** An integer from −2^64 to 2^64 − 1, text, bytes, true, false, null, an array, a map or a tagged value. */
export type CborValue = bigint | string | boolean | null | Uint8Array | readonly CborValue[] | CborMap | CborTag;

/** True for an array. */
export function isCborArray(value: CborValue | undefined): value is readonly CborValue[] {
  return Array.isArray(value);
}

/** True for a map. */
export function isCborMap(value: CborValue | undefined): value is CborMap {
  return value instanceof Map;
}

/** True for a byte string. */
export function isCborBytes(value: CborValue | undefined): value is Uint8Array {
  return value instanceof Uint8Array;
}
