/**
 * Build provenance (docs/formats/provenance.md): an in-toto Statement v1 with an SLSA Provenance v1 predicate in a DSSE envelope,
 * signed with Ed25519 by a builder whose key somebody pinned. Formats of others: members that are not read here may be there.
 */

import { ed25519 } from "#crypto";
import { formatBase64, parseBase64 } from "./base64.ts";
import { concat, formatUtf8 } from "./bytes.ts";
import { CheckError, FormatError, isCodedError } from "./errors.ts";
import { formatCanonical } from "./json/canonical.ts";
import { parseJson } from "./json/parse.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json/value.ts";
import type { Digest } from "./receipt/fields.ts";
import { ed25519Verifier } from "./signature/ed25519.ts";
import type { PublicKey } from "./signature/public-key.ts";

/** A builder whose statements count: its key, and what it calls itself (`runDetails.builder.id`). */
export interface TrustedBuilder {
  /** Ed25519. */
  readonly key: PublicKey;
  readonly id: string;
}

/** What a signed statement says. */
export interface BuildStatement {
  readonly builder: string;
  /** What was built, by SHA-256. */
  readonly subjects: ReadonlySet<Digest>;
  /** What was used for it or came with it, a bill of materials among them, by SHA-256. */
  readonly related: ReadonlySet<Digest>;
}

/** Most bytes of an envelope. */
export const MAX_PROVENANCE_BYTES: number = 4 * 1024 * 1024;

const PAYLOAD_TYPE = "application/vnd.in-toto+json";
const STATEMENT = "https://in-toto.io/Statement/v1";
const PREDICATE = "https://slsa.dev/provenance/v1";
const MAX_SIGNATURES = 16;
const ED25519_BYTES = 64;
const SHA256 = /^[0-9a-f]{64}$/u;

/**
 * The statement in an envelope; undefined if none of the builders signed it.
 *
 * @throws {FormatError} ERR_PROVENANCE: no envelope, or no statement of these types
 * @throws {CheckError} ERR_PROVENANCE_BUILDER: a pinned key signed what another builder is said to have made
 */
export function readProvenance(bytes: Uint8Array, builders: readonly TrustedBuilder[]): BuildStatement | undefined {
  const envelope = objectOf(parse(bytes, "the envelope"), "an envelope");
  if (envelope["payloadType"] !== PAYLOAD_TYPE) throw wrong(`want the payload type ${PAYLOAD_TYPE}`);
  const payload = base64Of(envelope["payload"], "payload");
  const statement = readStatement(objectOf(parse(payload, "the payload"), "a statement"));
  const signed = preAuthEncoding(payload);
  const signatures = signaturesOf(envelope["signatures"]);
  const signer = builders.find(({ key }) =>
    signatures.some((signature) => ed25519Verifier(key.bytes)(signed, signature)),
  );
  if (signer === undefined) return undefined;
  if (signer.id === statement.builder) return statement;
  throw new CheckError(
    "ERR_PROVENANCE_BUILDER",
    `the key is pinned for ${signer.id}, the statement names another builder`,
  );
}

/** What a builder signs. */
export interface ProvenanceFacts {
  readonly builder: string;
  readonly buildType: string;
  readonly name: string;
  readonly code: Digest;
  /** Of a bill of materials. */
  readonly sbom?: Digest;
}

/** Makes an envelope: one line of JSON. @param seed  32 bytes, of an Ed25519 key */
export function signProvenance(facts: ProvenanceFacts, seed: Uint8Array): Uint8Array {
  const { builder, buildType, name, code, sbom } = facts;
  const byproducts = sbom === undefined ? [] : [{ name: "sbom", digest: { sha256: hexOf(sbom) } }];
  const payload = formatUtf8(
    formatCanonical({
      _type: STATEMENT,
      subject: [{ name, digest: { sha256: hexOf(code) } }],
      predicateType: PREDICATE,
      predicate: {
        buildDefinition: { buildType, externalParameters: {} },
        runDetails: { builder: { id: builder }, byproducts },
      },
    }),
  );
  const sig = formatBase64(ed25519.signer(seed)(preAuthEncoding(payload)));
  const envelope = { payloadType: PAYLOAD_TYPE, payload: formatBase64(payload), signatures: [{ sig }] };
  return formatUtf8(`${formatCanonical(envelope)}\n`);
}

// SPEC DSSE: PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body
function preAuthEncoding(payload: Uint8Array): Uint8Array {
  return concat(formatUtf8(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `), payload);
}

function readStatement(statement: JsonObject): BuildStatement {
  if (statement["_type"] !== STATEMENT) throw wrong(`want a statement of the type ${STATEMENT}`);
  if (statement["predicateType"] !== PREDICATE) throw wrong(`want a predicate of the type ${PREDICATE}`);
  const predicate = objectOf(statement["predicate"], "a predicate");
  const run = objectOf(predicate["runDetails"], "runDetails");
  const builder = objectOf(run["builder"], "a builder")["id"];
  if (typeof builder !== "string" || builder === "") throw wrong("want the id of a builder");
  const definition = objectOf(predicate["buildDefinition"], "a buildDefinition");
  const subjects = digestsOf(statement["subject"]);
  if (subjects.length === 0) throw wrong("want a subject with a SHA-256 digest");
  const related = [...digestsOf(run["byproducts"]), ...digestsOf(definition["resolvedDependencies"])];
  return { builder, subjects: new Set(subjects), related: new Set(related) };
}

/** SHA-256 digests of a list of resources; others count for nothing. */
function digestsOf(list: JsonValue | undefined): readonly Digest[] {
  if (list === undefined) return [];
  if (!Array.isArray(list)) throw wrong("want a list of resources");
  return list.flatMap((resource: JsonValue) => {
    const { digest }: JsonObject = isJsonObject(resource) ? resource : {};
    const sha256 = isJsonObject(digest) ? digest["sha256"] : undefined;
    return typeof sha256 === "string" && SHA256.test(sha256) ? [`sha256:${sha256}`] : [];
  });
}

function signaturesOf(list: JsonValue | undefined): readonly Uint8Array[] {
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_SIGNATURES) {
    throw wrong(`want 1 to ${MAX_SIGNATURES} signatures`);
  }
  const all = list.map((one: JsonValue) => base64Of(objectOf(one, "a signature")["sig"], "sig"));
  return all.filter((signature) => signature.length === ED25519_BYTES);
}

function parse(bytes: Uint8Array, what: string): JsonValue {
  try {
    return parseJson(bytes, { maxBytes: MAX_PROVENANCE_BYTES });
  } catch (error) {
    if (isCodedError(error)) throw wrong(`${what}: ${error.message}`);
    throw error;
  }
}

function base64Of(value: JsonValue | undefined, name: string): Uint8Array {
  if (typeof value !== "string") throw wrong(`want ${name} in base64`);
  try {
    return parseBase64(value);
  } catch (error) {
    if (isCodedError(error)) throw wrong(`want ${name} in base64`);
    throw error;
  }
}

function objectOf(value: JsonValue | undefined, what: string): JsonObject {
  if (isJsonObject(value)) return value;
  throw wrong(`want ${what}`);
}

function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}

function wrong(why: string): FormatError {
  return new FormatError("ERR_PROVENANCE", `provenance: ${why}`);
}
