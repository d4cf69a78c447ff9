/**
 * Statements of a log about itself (docs/formats/log-statement.md): entries that its operator appends.
 *
 *     log-key-rotation     other checkpoint keys take over; from its index on both sign
 *     log-key-retirement   the older keys sign no more
 *     log-predecessor      final size and root of the log that this one goes on from
 *     registration-end     a stream's keys are decommissioned; nothing of it is admitted behind
 *     log-closing          the last entry: the log is frozen, or decommissioned
 *
 * Each is signed by checkpoint keys of the log (`key_signatures`, Ed25519 and ML-DSA-44) and, over these too, by the
 * operator (`signatures`). A checkpoint key signs
 *
 *     "countersign/" ‖ kind ‖ "/v1" LF ("log-ed25519" or "log-ml-dsa-44") LF SHA-256(JCS(statement without both lists))
 *
 * which no checkpoint, cosignature or envelope has the form of.
 */

import { ed25519, mlDsa44, sha256 } from "#crypto";
import { formatBase64, parseBase64 } from "../base64.ts";
import { concat, formatUint32, formatUtf8 } from "../bytes.ts";
import { CheckError, FormatError } from "../errors.ts";
import { formatHex } from "../hex.ts";
import { canonicalBytes, parseCanonical } from "../json/canonical.ts";
import type { JsonObject, JsonValue } from "../json/value.ts";
import { verifierOf } from "../note/key-verifier.ts";
import type { SignerKey } from "../note/signer-key.ts";
import { formatVerifierKey, parseVerifierKey, type VerifierKey } from "../note/verifier-key.ts";
import { type Hex64, hex64Shape, publicKeyJsonShape } from "../receipt/fields.ts";
import { originShape } from "../receipt/stream-open.ts";
import {
  array,
  base64,
  hex,
  integer,
  literal,
  mapped,
  object,
  optional,
  readShape,
  type Shape,
  string,
  tagged,
  timestamp,
} from "../shape.ts";
import { checkSignedBy, type Signed, signaturesShape, signEnvelope } from "../signature/envelope.ts";
import { formatPublicKey, type Kid, kidShape, type PublicKeyJson, publicKeyShape } from "../signature/public-key.ts";
import type { EnvelopeSigner } from "../signature/signer.ts";
import type { Timestamp } from "../time.ts";

/** What every statement has beside its own members. */
type Header = {
  readonly v: 1;
  readonly origin: string;
  /** The statement's own index in the log: it says nothing at any other place. */
  readonly index: number;
  /** By the operator's clock. */
  readonly time: Timestamp;
};

/** Replaces the log's checkpoint keys. Signed by both pairs. */
export type KeyRotationBody = Header & {
  readonly kind: "log-key-rotation";
  /** Verifier keys that sign until now: Ed25519, ML-DSA-44. */
  readonly old_keys: readonly string[];
  /** Verifier keys that sign from now on. */
  readonly new_keys: readonly string[];
};

/** Ends the time in which both pairs sign. Signed by the newer one. */
export type KeyRetirementBody = Header & {
  readonly kind: "log-key-retirement";
  /** Index of the rotation whose old keys go. */
  readonly rotation_index: number;
};

/** Where a log that has ended is gone on with. */
export type Successor = {
  readonly origin: string;
  /** Its verifier keys, if they are known. */
  readonly keys?: readonly string[];
  /** Where it is reached, if that is known. */
  readonly url?: string;
};

/** `frozen`: the operator goes on serving reads. `decommissioned`: nobody promises that any more. */
export type LogEnd = "frozen" | "decommissioned";

/** The last entry of a log. Signed by every key that signs checkpoints then. */
export type ClosingBody = Header & {
  readonly kind: "log-closing";
  readonly end: LogEnd;
  /** For people: 1 to 256 printable ASCII characters. */
  readonly reason: string;
  /** `index` + 1. */
  readonly final_size: number;
  readonly successor?: Successor;
};

/** The tree with which another log has ended. */
export type FinalTree = {
  readonly origin: string;
  readonly size: number;
  /** Root hash of that tree. */
  readonly root: Hex64;
};

/** Ties a log to the one before it. Signed by every key that signs checkpoints then. */
export type PredecessorBody = Header & { readonly kind: "log-predecessor"; readonly predecessor: FinalTree };

/** Decommissions the keys of a stream. Signed by every key that signs checkpoints then. */
export type RegistrationEndBody = Header & {
  readonly kind: "registration-end";
  readonly stream: Kid;
  readonly reason: string;
};

/** Body of any statement. */
export type StatementBody = KeyRotationBody | KeyRetirementBody | ClosingBody | PredecessorBody | RegistrationEndBody;

/** The signature of one checkpoint key. */
export type KeySignature = {
  /** Key id, 8 hexadecimal digits. */
  readonly id: string;
  readonly sig: string;
};

type Sealed<T> = Signed<T & { readonly operator_key: PublicKeyJson; readonly key_signatures: readonly KeySignature[] }>;

/** A statement with its signatures. */
export type LogStatement =
  | Sealed<KeyRotationBody>
  | Sealed<KeyRetirementBody>
  | Sealed<ClosingBody>
  | Sealed<PredecessorBody>
  | Sealed<RegistrationEndBody>;

/** Kinds of statements. */
export const STATEMENT_KINDS: readonly LogStatement["kind"][] = [
  "log-key-rotation",
  "log-key-retirement",
  "log-predecessor",
  "registration-end",
  "log-closing",
];

const ALGORITHMS = { 1: "log-ed25519", 6: "log-ml-dsa-44" } as const;
const KINDS: ReadonlySet<string> = new Set(STATEMENT_KINDS);

/** A verifier key of a log, kept as text. */
export const logKeyShape: Shape<string> = mapped(string({ maxLength: 4096, description: "a verifier key" }), (text) => {
  const { type } = parseVerifierKey(text);
  if (type === 0x04) throw new FormatError("ERR_VKEY_TYPE", "want a log key of type 1 or 6");
  return text;
});
const keysShape = array(logKeyShape, { min: 1, max: 16 });
const reasonShape = string({ pattern: /^[!-~](?:[ -~]*[!-~])?$/u, maxLength: 256, description: "a line of ASCII" });
const urlShape = string({ pattern: /^https?:\/\/[!-~]+$/u, maxLength: 2048, description: "a URL" });

/** Shape of `Successor`. */
export const successorShape: Shape<Successor> = object<Successor>({
  origin: originShape,
  keys: optional(keysShape),
  url: optional(urlShape),
});

/** Shape of `FinalTree`. */
export const finalTreeShape: Shape<FinalTree> = object<FinalTree>({
  origin: originShape,
  size: integer({ min: 1 }),
  root: hex64Shape,
});

const common = {
  v: literal(1),
  origin: originShape,
  index: integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 1 }),
  time: timestamp(),
  operator_key: publicKeyJsonShape,
  key_signatures: array(object<KeySignature>({ id: hex(4), sig: base64() }), { min: 1, max: 32 }),
  signatures: signaturesShape,
} as const;

const statementShape: Shape<LogStatement> = tagged("kind", {
  "log-key-rotation": object<Sealed<KeyRotationBody>>({
    ...common,
    kind: literal("log-key-rotation"),
    old_keys: keysShape,
    new_keys: keysShape,
  }),
  "log-key-retirement": object<Sealed<KeyRetirementBody>>({
    ...common,
    kind: literal("log-key-retirement"),
    rotation_index: integer({ min: 1 }),
  }),
  "log-predecessor": object<Sealed<PredecessorBody>>({
    ...common,
    kind: literal("log-predecessor"),
    predecessor: finalTreeShape,
  }),
  "registration-end": object<Sealed<RegistrationEndBody>>({
    ...common,
    kind: literal("registration-end"),
    stream: kidShape,
    reason: reasonShape,
  }),
  "log-closing": object<Sealed<ClosingBody>>({
    ...common,
    kind: literal("log-closing"),
    end: literal("frozen", "decommissioned"),
    reason: reasonShape,
    final_size: integer({ min: 2 }),
    successor: optional(successorShape),
  }),
});

/** True for the kinds of statements. */
export function isStatementKind(kind: JsonValue | undefined): boolean {
  return typeof kind === "string" && KINDS.has(kind);
}

/**
 * Entry bytes of a statement.
 *
 * @param keys  checkpoint keys that sign, in the order that `checkKeySignatures` is given
 */
export function signStatement(body: StatementBody, keys: readonly SignerKey[], operator: EnvelopeSigner): Uint8Array {
  const named = { ...body, operator_key: formatPublicKey(operator.publicKey) };
  const digest = sha256(canonicalBytes(named));
  const key_signatures = keys.map(({ type, seed, verifierKey }) => {
    const algorithm = type === 0x06 ? mlDsa44 : ed25519;
    const sig = formatBase64(algorithm.signer(seed)(keyInput(body.kind, type, digest)));
    return { id: idOf(verifierKey), sig };
  });
  return canonicalBytes(signEnvelope({ ...named, key_signatures }, [operator]));
}

/**
 * Reads a statement; no signature is looked at.
 *
 * @param bytes  canonical JSON
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE
 * @throws {CheckError} ERR_KEY_INVALID, ERR_KEY_WEAK
 */
export function parseStatement(bytes: Uint8Array): LogStatement {
  return readStatement(parseCanonical(bytes));
}

/** `parseStatement` of a value that was parsed from canonical bytes. */
export function readStatement(value: JsonValue): LogStatement {
  return readShape(statementShape, value, "statement");
}

/**
 * Checks that exactly these checkpoint keys signed, in this order, and the operator that the statement names.
 *
 * @throws {CheckError} ERR_LOG_KEY_MISSING, ERR_LOG_KEY_STRANGER, ERR_LOG_KEY_SIGNATURE; ERR_SIGNATURE_MISSING,
 *   ERR_SIGNATURE_INVALID for the operator's
 */
export function checkStatementSignatures(statement: LogStatement, keys: readonly VerifierKey[]): void {
  const { signatures, key_signatures: given, ...named } = statement;
  const wanted = keys.map(idOf);
  for (const id of wanted) if (!given.some((each) => each.id === id)) throw missing(id);
  if (given.length !== wanted.length || !given.every(({ id }, i) => id === wanted[i])) {
    throw new CheckError("ERR_LOG_KEY_STRANGER", "want signatures of the log's keys, in order, and of no others");
  }
  const digest = sha256(canonicalBytes(named));
  for (const [i, key] of keys.entries()) {
    if (verifierOf(key)(keyInput(named.kind, key.type, digest), parseBase64(given[i]?.sig ?? ""))) continue;
    throw new CheckError("ERR_LOG_KEY_SIGNATURE", `the signature of the log's key ${idOf(key)} does not hold`);
  }
  // A signature that nobody checks could be changed without notice.
  if (signatures.length !== 1) throw new CheckError("ERR_SIGNATURE_INVALID", "want one signature, the operator's");
  checkSignedBy(statement, publicKeyShape.read(statement.operator_key, "statement.operator_key"));
}

/** True if `key` signed; whose other signatures the statement bears is not looked at. */
export function hasSignatureOf(statement: LogStatement, key: VerifierKey): boolean {
  const { signatures: _, key_signatures: given, ...named } = statement;
  const own = given.filter(({ id }) => id === idOf(key));
  const input = keyInput(named.kind, key.type, sha256(canonicalBytes(named)));
  return own.some(({ sig }) => verifierOf(key)(input, parseBase64(sig)));
}

/** The verifier keys that texts spell. */
export function readLogKeys(texts: readonly string[]): readonly VerifierKey[] {
  return texts.map(parseVerifierKey);
}

/** The texts that verifier keys have. */
export function textsOfKeys(keys: readonly VerifierKey[]): readonly string[] {
  return keys.map(formatVerifierKey);
}

/** True if the two lists spell the same keys in the same order. */
export function isSameKeys(a: readonly VerifierKey[], b: readonly VerifierKey[]): boolean {
  return a.length === b.length && a.every((key, i) => b[i] !== undefined && isSameKey(key, b[i]));
}

/** True for one key under one name. */
export function isSameKey(a: VerifierKey, b: VerifierKey): boolean {
  return formatVerifierKey(a) === formatVerifierKey(b);
}

/** A statement as a JSON value, as bundles and status documents hold it. */
export function statementJson(statement: LogStatement): JsonObject {
  return { ...statement };
}

function keyInput(kind: string, type: VerifierKey["type"], digest: Uint8Array): Uint8Array {
  if (type === 0x04) throw new FormatError("ERR_VKEY_TYPE", "want a log key of type 1 or 6");
  return concat(formatUtf8(`countersign/${kind}/v1\n${ALGORITHMS[type]}\n`), digest);
}

function idOf({ keyId }: VerifierKey): string {
  return formatHex(formatUint32(keyId));
}

function missing(id: string): CheckError {
  return new CheckError("ERR_LOG_KEY_MISSING", `no signature of the log's key ${id}`);
}
