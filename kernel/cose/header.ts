/**
 * Header parameters of COSE objects: labels (IANA "COSE Header Parameters", RFC 9942 §2, RFC 9597), and how they are read.
 * A label stands in one of the two headers, never in both; what a verdict depends on is read from the protected one only.
 */

import { parseCbor } from "../cbor/parse.ts";
import { type CborMap, type CborValue, isCborArray, isCborBytes, isCborMap } from "../cbor/value.ts";
import { FormatError } from "../errors.ts";

/** Labels of header parameters. */
export const HEADER = {
  alg: 1n,
  crit: 2n,
  contentType: 3n,
  kid: 4n,
  cwtClaims: 15n,
  receipts: 394n,
  vds: 395n,
  vdp: 396n,
} as const;

/** Claims inside the CWT claims parameter (RFC 8392 §4), and ours: the size of the tree under a receipt's root. */
export const CLAIM = { issuer: 1n, subject: 2n, treeSize: -65_537n } as const;

/** Longest issuer or subject, in UTF-16 code units. */
const MAX_CLAIM_LENGTH = 4096;

/** Labels whose meaning we know: the only ones that `crit` may name. */
const UNDERSTOOD: ReadonlySet<CborValue> = new Set<CborValue>([
  HEADER.alg,
  HEADER.contentType,
  HEADER.kid,
  HEADER.cwtClaims,
  HEADER.vds,
]);

/**
 * Reads the content of a protected header's byte string; no bytes are the empty header. Keys may stand in any order,
 * since the bytes are kept and signed as they are.
 *
 * @throws {FormatError} ERR_CBOR_*, ERR_COSE_HEADER (not a map; `crit` names what we do not know or is not there)
 */
export function parseProtectedHeader(bytes: Uint8Array): CborMap {
  if (bytes.length === 0) return new Map();
  const header = parseCbor(bytes, { order: "kept" });
  if (!isCborMap(header)) throw refuse("the protected header", "a map");
  checkCritical(header);
  return header;
}

/**
 * The text of a content type or claim; undefined if it is absent.
 *
 * @throws {FormatError} ERR_COSE_HEADER
 */
export function readText(map: CborMap, label: bigint, name: string): string | undefined {
  const value = map.get(label);
  if (value === undefined) return undefined;
  if (typeof value === "string" && value.length > 0 && value.length <= MAX_CLAIM_LENGTH) return value;
  throw refuse(name, `a text of 1 to ${MAX_CLAIM_LENGTH} characters`);
}

/**
 * The integer of a parameter or claim; undefined if it is absent.
 *
 * @throws {FormatError} ERR_COSE_HEADER
 */
export function readInteger(map: CborMap, label: bigint, name: string): bigint | undefined {
  const value = map.get(label);
  if (value === undefined || typeof value === "bigint") return value;
  throw refuse(name, "an integer");
}

/**
 * The bytes of a parameter; undefined if it is absent.
 *
 * @throws {FormatError} ERR_COSE_HEADER
 */
export function readBytes(map: CborMap, label: bigint, name: string): Uint8Array | undefined {
  const value = map.get(label);
  if (value === undefined || isCborBytes(value)) return value;
  throw refuse(name, "a byte string");
}

/**
 * The CWT claims of a protected header; the empty map if there are none.
 *
 * @throws {FormatError} ERR_COSE_HEADER
 */
export function readClaims(header: CborMap): CborMap {
  const claims = header.get(HEADER.cwtClaims);
  if (claims === undefined) return new Map();
  if (isCborMap(claims)) return claims;
  throw refuse("CWT claims (15)", "a map");
}

/** SPEC RFC 9052 §3.1: a critical parameter that is not understood is a fatal error; labels MUST be there. */
function checkCritical(header: CborMap): void {
  const critical = header.get(HEADER.crit);
  if (critical === undefined) return;
  if (!isCborArray(critical) || critical.length === 0) throw refuse("crit (2)", "an array of labels, not empty");
  for (const label of critical) {
    const isLabel = typeof label === "bigint" || typeof label === "string";
    if (!isLabel || !UNDERSTOOD.has(label) || !header.has(label)) throw refuse("crit (2)", "labels that we understand");
  }
}

function refuse(name: string, want: string): FormatError {
  return new FormatError("ERR_COSE_HEADER", `${name}: want ${want}`);
}
