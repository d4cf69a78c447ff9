/**
 * Signed Statements and Transparent Statements (RFC 9943): a COSE_Sign1 of an issuer about a subject, both named in the
 * CWT claims of its protected header. A transparent statement carries receipts (394) in its unprotected header.
 *
 * Nothing in the unprotected header is signed, and receipts are added to it later. The entry of a log is therefore the
 * statement with that header **emptied**: the same statement is the same entry, whatever it carries.
 */

import { sha256 } from "#crypto";
import { type CborKey, type CborValue, isCborArray, isCborBytes } from "../cbor/value.ts";
import { CheckError, FormatError } from "../errors.ts";
import { hashLeaf, type LeafHash } from "../merkle/hash.ts";
import type { PublicKey } from "../signature/public-key.ts";
import type { EnvelopeSigner } from "../signature/signer.ts";
import { coseThumbprint } from "./cose-key.ts";
import { CLAIM, HEADER, readBytes, readClaims, readText } from "./header.ts";
import { checkSign1, formatSign1, parseSign1, readAlgorithm, type Sign1, signSign1 } from "./sign1.ts";

/** Most bytes of a statement with its receipts. */
export const MAX_STATEMENT_BYTES = 262_144;
const MAX_RECEIPTS = 64;

/** A signed statement in parts, its signature not verified. */
export interface Statement {
  readonly sign1: Sign1;
  readonly alg: bigint;
  readonly issuer: string;
  readonly subject: string;
  readonly kid?: Uint8Array;
  /** The bytes that the statement is about. */
  readonly payload: Uint8Array;
  /** Receipts that its unprotected header carries; nothing says whose or that they hold. */
  readonly receipts: readonly Uint8Array[];
}

/** What of a statement a log takes as its entry: `statement`, with an empty unprotected header; or its SHA-256. */
export type EntryRule = "statement" | "statement-digest";

/**
 * Reads a signed or transparent statement.
 *
 * @throws {FormatError} ERR_CBOR_*, ERR_COSE_STRUCTURE, ERR_COSE_HEADER (issuer, subject, alg, receipts)
 * @throws {CheckError} ERR_COSE_PAYLOAD if the payload is detached
 */
export function parseStatement(bytes: Uint8Array): Statement {
  if (bytes.length > MAX_STATEMENT_BYTES) {
    throw new FormatError("ERR_CBOR_SIZE", `want a statement of at most ${MAX_STATEMENT_BYTES} bytes`);
  }
  const sign1 = parseSign1(bytes);
  const { protectedHeader, unprotectedHeader, payload } = sign1;
  const claims = readClaims(protectedHeader);
  const kid = readBytes(protectedHeader, HEADER.kid, "kid (4)");
  if (payload === null) throw new CheckError("ERR_COSE_PAYLOAD", "want the payload in the statement");
  return {
    sign1,
    alg: readAlgorithm(protectedHeader),
    issuer: required(readText(claims, CLAIM.issuer, "issuer"), "issuer"),
    subject: required(readText(claims, CLAIM.subject, "subject"), "subject"),
    ...(kid === undefined ? {} : { kid }),
    payload,
    receipts: readReceipts(unprotectedHeader.get(HEADER.receipts)),
  };
}

/**
 * Checks that `key` signed the statement. Whether the key is the issuer's is up to the caller.
 *
 * @throws {CheckError} ERR_COSE_ALG, ERR_COSE_SIGNATURE
 */
export function checkStatement({ sign1, payload }: Statement, key: PublicKey): void {
  checkSign1(sign1, payload, key);
}

/** Entry bytes of a statement: the statement with an empty unprotected header. */
export function statementEntry({ sign1 }: Statement): Uint8Array {
  return formatSign1({ ...sign1, unprotectedHeader: new Map() });
}

/** Leaf hash of a statement in a log of the given rule; our logs have `statement`. */
export function statementLeaf(statement: Statement, rule: EntryRule = "statement"): LeafHash {
  const entry = statementEntry(statement);
  return hashLeaf(rule === "statement" ? entry : sha256(entry));
}

/** A transparent statement: `statement` with these receipts, and nothing else, in its unprotected header. */
export function addReceipts({ sign1 }: Statement, receipts: readonly Uint8Array[]): Uint8Array {
  return formatSign1({ ...sign1, unprotectedHeader: new Map([[HEADER.receipts, receipts]]) });
}

/** What a statement says. */
export interface StatementContent {
  readonly issuer: string;
  readonly subject: string;
  /** Media type of the payload. */
  readonly contentType?: string;
  readonly payload: Uint8Array;
}

/**
 * A signed statement; `kid` is the thumbprint of the signer's key.
 *
 * @throws {CheckError} ERR_COSE_ALG
 */
export function signStatement(content: StatementContent, signer: EnvelopeSigner): Uint8Array {
  const { issuer, subject, contentType, payload } = content;
  const header = new Map<CborKey, CborValue>([[HEADER.kid, coseThumbprint(signer.publicKey)]]);
  if (contentType !== undefined) header.set(HEADER.contentType, contentType);
  const claims = new Map<CborKey, CborValue>([
    [CLAIM.issuer, issuer],
    [CLAIM.subject, subject],
  ]);
  header.set(HEADER.cwtClaims, claims);
  return signSign1({ protectedHeader: header, payload }, signer);
}

function required(text: string | undefined, name: string): string {
  if (text !== undefined) return text;
  throw new FormatError("ERR_COSE_HEADER", `${name}: want it in the CWT claims of the protected header`);
}

function readReceipts(value: CborValue | undefined): readonly Uint8Array[] {
  if (value === undefined) return [];
  if (isCborArray(value) && value.length > 0 && value.length <= MAX_RECEIPTS && value.every(isCborBytes)) return value;
  throw new FormatError("ERR_COSE_HEADER", `receipts (394): want 1 to ${MAX_RECEIPTS} byte strings`);
}
