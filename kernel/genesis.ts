/**
 * The genesis entry, index 0 of every log: what the log is, which keys sign its checkpoints, who may register, signed
 * by the operator's key.
 */

import { FormatError } from "./errors.ts";
import { canonicalBytes, parseCanonical } from "./json/canonical.ts";
import { publicKeyJsonShape } from "./receipt/fields.ts";
import { originShape } from "./receipt/stream-open.ts";
import { array, literal, mapped, object, optional, type Shape, string, timestamp } from "./shape.ts";
import { checkSignedBy, type Signed, signaturesShape, signEnvelope } from "./signature/envelope.ts";
import { formatPublicKey, type PublicKeyJson, publicKeyShape } from "./signature/public-key.ts";
import type { EnvelopeSigner } from "./signature/signer.ts";
import type { Timestamp } from "./time.ts";

/** `receipts`: registered gateways append call receipts. `raw`: whoever may, appends any bytes. */
export type LogKind = "receipts" | "raw";

/** Who may register: `allow` takes keys for which only software speaks. */
export type AdmissionPolicy = { readonly software_evidence: "allow" | "refuse" };

/** The time that a log takes entries in, by the ledger's clock: from `start` on, and no more at `end`. */
export type LogShard = { readonly start: Timestamp; readonly end: Timestamp };

/** The log that this one goes on from. How that one ended, a statement says once it has. */
export type NamedPredecessor = { readonly origin: string };

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
  /** Absent: the log is open until it is closed. */
  readonly shard?: LogShard;
  readonly predecessor?: NamedPredecessor;
};

/** A genesis entry with the operator's signature. */
export type Genesis = Signed<GenesisBody>;

/** Shape of `AdmissionPolicy`. */
export const admissionPolicyShape: Shape<AdmissionPolicy> = object<AdmissionPolicy>({
  software_evidence: literal("allow", "refuse"),
});

/** Shape of `LogShard`. */
export const logShardShape: Shape<LogShard> = mapped(
  object<LogShard>({ start: timestamp(), end: timestamp() }),
  (shard) => {
    if (shard.start < shard.end) return shard;
    throw new FormatError("ERR_SHAPE", "want an end behind the start");
  },
);

const genesisShape: Shape<Genesis> = object<Genesis>({
  kind: literal("log-genesis"),
  v: literal(1),
  origin: originShape,
  created: timestamp(),
  log_kind: literal("receipts", "raw"),
  keys: array(string({ maxLength: 4096 }), { min: 1, max: 16 }),
  operator_key: publicKeyJsonShape,
  admission: admissionPolicyShape,
  shard: optional(logShardShape),
  predecessor: optional(object<NamedPredecessor>({ origin: originShape })),
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
