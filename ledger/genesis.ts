/**
 * The genesis entry, index 0 of every log: what the log is, which keys sign its checkpoints, who may register, signed
 * by the operator's key. A ledger that is configured otherwise does not start on it.
 */

import { StoreError } from "../kernel/errors.ts";
import { canonicalBytes, parseCanonical } from "../kernel/json/canonical.ts";
import { publicKeyJsonShape } from "../kernel/receipt/fields.ts";
import { originShape } from "../kernel/receipt/stream-open.ts";
import { array, literal, object, type Shape, string, timestamp } from "../kernel/shape.ts";
import { checkSignedBy, type Signed, signaturesShape, signEnvelope } from "../kernel/signature/envelope.ts";
import { formatPublicKey, type PublicKeyJson, publicKeyShape } from "../kernel/signature/public-key.ts";
import type { EnvelopeSigner } from "../kernel/signature/signer.ts";
import type { Timestamp } from "../kernel/time.ts";

/** `receipts`: registered gateways append call receipts. `raw`: whoever may, appends any bytes. */
export type LogKind = "receipts" | "raw";

/** Who may register: `allow` takes keys for which only software speaks. */
export type AdmissionPolicy = { readonly software_evidence: "allow" | "refuse" };

/** Body of the genesis entry. */
export type GenesisBody = {
  readonly kind: "log-genesis";
  readonly v: 1;
  readonly origin: string;
  readonly created: Timestamp;
  readonly log_kind: LogKind;
  /** Verifier keys of the checkpoints' signature lines. */
  readonly keys: readonly string[];
  readonly operator_key: PublicKeyJson;
  readonly admission: AdmissionPolicy;
};

/** A genesis entry with the operator's signature. */
export type Genesis = Signed<GenesisBody>;

/** Shape of `AdmissionPolicy`. */
export const admissionPolicyShape: Shape<AdmissionPolicy> = object<AdmissionPolicy>({
  software_evidence: literal("allow", "refuse"),
});

const genesisShape: Shape<Genesis> = object<Genesis>({
  kind: literal("log-genesis"),
  v: literal(1),
  origin: originShape,
  created: timestamp(),
  log_kind: literal("receipts", "raw"),
  keys: array(string({ maxLength: 4096 }), { min: 1, max: 16 }),
  operator_key: publicKeyJsonShape,
  admission: admissionPolicyShape,
  signatures: signaturesShape,
});

/** Entry bytes of a genesis, signed by the operator. */
export function makeGenesis(body: Omit<GenesisBody, "operator_key">, operator: EnvelopeSigner): Uint8Array {
  return canonicalBytes(signEnvelope({ ...body, operator_key: formatPublicKey(operator.publicKey) }, [operator]));
}

/**
 * Reads and checks a genesis entry.
 *
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE
 * @throws {CheckError} ERR_SIGNATURE_MISSING, ERR_SIGNATURE_INVALID
 */
export function parseGenesis(bytes: Uint8Array): Genesis {
  const value = parseCanonical(bytes);
  const genesis = genesisShape.read(value, "genesis");
  checkSignedBy(genesis, publicKeyShape.read(genesis.operator_key, "genesis.operator_key"));
  return genesis;
}

/** What a ledger is configured to be; the genesis must say the same. */
export type LogIdentity = Pick<GenesisBody, "origin" | "log_kind" | "keys" | "operator_key" | "admission">;

/**
 * Checks that the log on disk is the one that is configured.
 *
 * @throws {StoreError} ERR_GENESIS_MISMATCH, fatal, naming the member; as `parseGenesis`, wrapped
 */
export function checkGenesis(bytes: Uint8Array, identity: LogIdentity): Genesis {
  const genesis = readOrRefuse(bytes);
  for (const name of ["origin", "log_kind", "keys", "operator_key", "admission"] as const) {
    if (same(genesis[name], identity[name])) continue;
    throw mismatch(`${name} of the log on disk is not the one that is configured`);
  }
  return genesis;
}

function readOrRefuse(bytes: Uint8Array): Genesis {
  try {
    return parseGenesis(bytes);
  } catch (cause) {
    throw mismatch("the first entry on disk is not a genesis entry", cause);
  }
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function mismatch(what: string, cause?: unknown): StoreError {
  return new StoreError("ERR_GENESIS_MISMATCH", what, { cause, fatal: true });
}
