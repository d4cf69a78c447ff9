/** own/cose-receipt, and the COSE objects of others: one case a folder or file. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "#crypto";
import { parseBase64 } from "../../../kernel/base64.ts";
import { checkInclusionReceipt, parseInclusionReceipt } from "../../../kernel/cose/inclusion-receipt.ts";
import { checkStatement, parseStatement, statementLeaf } from "../../../kernel/cose/statement.ts";
import { CheckError } from "../../../kernel/errors.ts";
import { hashLeaf } from "../../../kernel/merkle/hash.ts";
import { rootFromInclusion } from "../../../kernel/merkle/inclusion-proof.ts";
import { makePublicKey, type PublicKey } from "../../../kernel/signature/public-key.ts";
import {
  type CaseFile,
  type CaseResult,
  caseId,
  compare,
  eachCase,
  find,
  isVectorObject,
  type KindHandler,
  textOf,
  type VectorObject,
} from "../case-file.ts";

/** DER in front of the raw key (RFC 8410 §4; RFC 5480 §2): its length tells the algorithm. */
const ED25519_HEADER = 12;
const P256_HEADER = 26;
const ED25519_DER = 44;

/** Kinds of files, by path. */
export const coseKinds: Readonly<Record<string, KindHandler>> = {
  "own/cose-receipt": eachCase((one) => {
    const leaf = hashLeaf(parseBase64(textOf(one, "entry_b64")));
    checkInclusionReceipt(parseBase64(textOf(one, "receipt_b64")), leaf, { key: readPem(textOf(one, "key_pem")) });
    return "accept";
  }),
};

/** Folders of COSE objects, by path. */
export const coseFolderKinds: Readonly<Record<string, KindHandler>> = {
  "cose/scitt-cose": runScittCose,
  // No key was published: the receipt must parse, and its path must fit its place in the tree.
  "cose/cose-wg": eachCase(
    (one, { folder }) => {
      const { size, index, path } = parseInclusionReceipt(readBytes(folder, textOf(one, "name")));
      return (
        rootFromInclusion({ leaf: hashLeaf(new Uint8Array(0)), index, size, proof: path }).length === 32 && "accept"
      );
    },
    () => "accept",
  ),
  "cose/scitt-ccf-ledger": eachCase(
    (one, { folder }) => {
      const statement = parseStatement(readBytes(folder, textOf(one, "name")));
      return statement.payload.length > 0 && statement.issuer.startsWith("did:x509:") ? "accept" : "reject";
    },
    () => "accept",
  ),
};

/** Per case: the statement's signature, and the receipt over the leaf that their log takes: SHA-256 of the statement. */
async function* runScittCose(file: CaseFile): AsyncGenerator<CaseResult> {
  for (const one of file.cases) {
    const folder = join(file.folder, textOf(one, "name"));
    const expected: unknown = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));
    if (!isVectorObject(expected)) throw new Error("want an object in expected.json");
    const id = caseId(file, one);
    const receipt = await find(() => checkReceipt(folder));
    yield compare(`${id}/receipt`, isSupported(expected) ? verdict(expected, "receipt_valid") : "reject", receipt);
    if (isSupported(expected)) {
      const statement = await find(() => checkIssuer(folder));
      yield compare(`${id}/statement`, verdict(expected, "statement_signature_valid"), statement);
    }
  }
}

/** vds 2 is another data structure, and its statement names its issuer by a certificate: neither is ours to verify. */
function isSupported(expected: VectorObject): boolean {
  const header = expected["protected_header"];
  const receipt = isVectorObject(header) ? header["receipt"] : undefined;
  return isVectorObject(receipt) && receipt["vds"] === 1;
}

function verdict(expected: VectorObject, name: string): "accept" | "reject" {
  return expected[name] === true ? "accept" : "reject";
}

function checkReceipt(folder: string): "accept" {
  const bytes = readBytes(folder, "statement.cose");
  const leaf = hashLeaf(sha256(bytes));
  const statement = parseStatementOrNothing(bytes);
  if (statement !== undefined && !sameBytes(statementLeaf(statement, "statement-digest"), leaf)) {
    throw new CheckError("ERR_ROOT_MISMATCH", "the digest rule gives another leaf than the file's bytes");
  }
  const receipt = readBytes(folder, "receipt.cose");
  // Read before the key: another data structure is refused as such, whatever key its log has.
  parseInclusionReceipt(receipt);
  const subject = statement === undefined ? {} : { subject: statement.subject };
  checkInclusionReceipt(receipt, leaf, { key: readPemFile(folder, "log-key.pub"), ...subject });
  return "accept";
}

function checkIssuer(folder: string): "accept" {
  checkStatement(parseStatement(readBytes(folder, "statement.cose")), readPemFile(folder, "issuer-key.pub"));
  return "accept";
}

function parseStatementOrNothing(bytes: Uint8Array): ReturnType<typeof parseStatement> | undefined {
  try {
    return parseStatement(bytes);
  } catch {
    return undefined;
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function readBytes(folder: string, name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(folder, name)));
}

function readPemFile(folder: string, name: string): PublicKey {
  return readPem(readFileSync(join(folder, name), "utf8"));
}

/** The key of a PEM file that holds an Ed25519 or P-256 SubjectPublicKeyInfo. */
function readPem(pem: string): PublicKey {
  const der = parseBase64(pem.replace(/-----[A-Z ]+-----|\s/gu, ""));
  if (der.length === ED25519_DER) return makePublicKey("ed25519", der.subarray(ED25519_HEADER));
  return makePublicKey("es256", der.subarray(P256_HEADER));
}
