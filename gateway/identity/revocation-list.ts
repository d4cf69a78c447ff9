/**
 * Certificate revocation lists (RFC 5280 §5): whole lists of one authority. One with a critical extension (a delta, or only
 * some certificates) is refused, because it says less than it seems to say.
 */

import { type KeyObject, verify, type X509Certificate } from "node:crypto";
import { equalBytes } from "../../kernel/bytes.ts";
import { FormatError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { type DerElement, readDer, readDerList, readSequence } from "./der.ts";

/** A list; its signature is checked with `isSignedBy`. */
export interface RevocationList {
  /** DER of its authority's name. */
  readonly issuer: Uint8Array;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** Serial numbers, hex of the INTEGER's content. */
  readonly serials: ReadonlySet<string>;
  readonly isSignedBy: (authority: X509Certificate) => boolean;
}

/** The names and the number of a certificate, in DER. */
export interface CertificateNames {
  readonly serial: string;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
}

/** Most bytes of one list. */
export const MAX_LIST_BYTES: number = 16 * 1_048_576;

/** Signature algorithms by the hex of their OID; the hash that goes with them, if one does. */
const HASHES: Readonly<Record<string, string | null>> = {
  "2a8648ce3d040302": "sha256",
  "2a8648ce3d040303": "sha384",
  "2a8648ce3d040304": "sha512",
  "2a864886f70d01010b": "sha256",
  "2a864886f70d01010c": "sha384",
  "2a864886f70d01010d": "sha512",
  "2b6570": null,
};

const PEM = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----/gu;

/** The lists of a file: PEM, or one in DER. @throws {FormatError} ERR_CERTIFICATE */
export function parseRevocationLists(bytes: Uint8Array): readonly RevocationList[] {
  if (bytes.length > MAX_LIST_BYTES) throw fault("the file is too long");
  if (bytes[0] === 0x30) return [parseList(bytes)];
  const found = [...Buffer.from(bytes).toString("latin1").matchAll(PEM)];
  if (found.length === 0) throw fault("want a list in PEM or DER");
  return found.map(([, base64 = ""]) => parseList(new Uint8Array(Buffer.from(base64, "base64"))));
}

/** @throws {FormatError} ERR_CERTIFICATE */
export function namesOf({ raw }: X509Certificate): CertificateNames {
  const [tbs] = readSequence(readDer(new Uint8Array(raw)));
  const fields = readSequence(tbs);
  const at = fields[0]?.tag === 0xa0 ? 1 : 0;
  const [serial, , issuer, , subject] = fields.slice(at);
  if (serial?.tag !== 0x02 || issuer === undefined || subject === undefined) throw fault("want a certificate");
  return { serial: formatHex(serial.content), issuer: issuer.whole, subject: subject.whole };
}

function parseList(bytes: Uint8Array): RevocationList {
  const [tbs, algorithm, signature, ...rest] = readSequence(readDer(bytes));
  if (tbs === undefined || algorithm === undefined || signature?.tag !== 0x03 || rest.length > 0) {
    throw fault("want a revocation list");
  }
  const fields = [...readSequence(tbs)];
  if (fields[0]?.tag === 0x02) fields.shift();
  const [inner, issuer, from, until, ...more] = fields;
  // SPEC RFC 5280 §5.1.1.2: the algorithm MUST stand in both places. §5.1.2.5: nextUpdate MUST be there.
  if (inner === undefined || !equalBytes(inner.whole, algorithm.whole)) throw fault("two algorithms");
  if (issuer?.tag !== 0x30) throw fault("want an issuer");
  const revoked = more.find(({ tag }) => tag === 0x30);
  const extensions = more.find(({ tag }) => tag === 0xa0);
  if (more.length > Number(revoked !== undefined) + Number(extensions !== undefined)) throw fault("an unknown field");
  checkExtensions(extensions);
  const hash = hashOf(algorithm);
  return {
    issuer: issuer.whole,
    thisUpdateMs: timeOf(from),
    nextUpdateMs: timeOf(until),
    serials: serialsOf(revoked),
    isSignedBy: remembered((key) => isSigned(hash, tbs.whole, key, signature.content)),
  };
}

/** Asked for each request: of one authority the answer is always the same. */
function remembered(check: (key: KeyObject) => boolean): RevocationList["isSignedBy"] {
  const known = new Map<string, boolean>();
  return ({ fingerprint256: name, publicKey }) => {
    const answer = known.get(name) ?? check(publicKey);
    known.set(name, answer);
    return answer;
  };
}

function isSigned(hash: string | null, message: Uint8Array, key: KeyObject, bits: Uint8Array): boolean {
  try {
    return bits[0] === 0 && verify(hash, message, key, bits.subarray(1));
  } catch {
    // A key of another kind than the algorithm's.
    return false;
  }
}

function serialsOf(revoked: DerElement | undefined): ReadonlySet<string> {
  const serials = new Set<string>();
  for (const entry of revoked === undefined ? [] : readSequence(revoked)) {
    const [serial, , extensions] = readSequence(entry);
    if (serial?.tag !== 0x02) throw fault("want a serial number");
    checkCritical(extensions);
    serials.add(formatHex(serial.content));
  }
  return serials;
}

function checkExtensions(wrapped: DerElement | undefined): void {
  if (wrapped !== undefined) checkCritical(readDerList(wrapped.content)[0]);
}

function checkCritical(extensions: DerElement | undefined): void {
  for (const extension of extensions === undefined ? [] : readSequence(extensions)) {
    const [, critical] = readSequence(extension);
    if (critical?.tag === 0x01 && critical.content[0] !== 0) throw fault("a critical extension");
  }
}

function hashOf(algorithm: DerElement): string | null {
  const [oid] = readSequence(algorithm);
  const hash = HASHES[formatHex(oid?.content ?? new Uint8Array())];
  if (hash === undefined) throw fault("an algorithm that is not taken");
  return hash;
}

/** UTCTime to 2049, GeneralizedTime from then on; both in UTC with seconds. */
function timeOf(element: DerElement | undefined): number {
  const text = Buffer.from(element?.content ?? []).toString("latin1");
  const full = element?.tag === 0x17 ? `${Number(text.slice(0, 2)) < 50 ? "20" : "19"}${text}` : text;
  const match = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/u.exec(full);
  const isTime = element?.tag === 0x17 || element?.tag === 0x18;
  const ms = match === null ? Number.NaN : Date.parse(toIso(match));
  if (!isTime || Number.isNaN(ms)) throw fault("want the times of this and the next list");
  return ms;
}

function toIso([, year, month, day, hour, minute, second]: RegExpExecArray): string {
  return `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
}

function fault(what: string): FormatError {
  return new FormatError("ERR_CERTIFICATE", `revocation list: ${what}`);
}
