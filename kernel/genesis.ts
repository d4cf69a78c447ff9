/**
 * The genesis entry, index 0 of every log: what the log is, which keys sign its checkpoints, who may register, signed
 * by the operator's key.
 */

import { canonicalBytes, parseCanonical } from "./json/canonical.ts";
import { publicKeyJsonShape } from "./receipt/fields.ts";
import { originShape } from "./receipt/stream-open.ts";
import { array, literal, object, type Shape, string, timestamp } from "./shape.ts";
import { checkSignedBy, type Signed, signaturesShape, signEnvelope } from "./signature/envelope.ts";
import { formatPublicKey, type PublicKeyJson, publicKeyShape } from "./signature/public-key.ts";
import type { EnvelopeSigner } from "./signature/signer.ts";
import type { Timestamp } from "./time.ts";

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
