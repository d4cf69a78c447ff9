/** Trust records and revocations, signed with fixed keys. */

import { formatBase64url } from "../../kernel/base64url.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { createSigner, type EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { derivedName, trustRecordUri } from "../../kernel/trace/entry-name.ts";
import { formatJwk, jwkThumbprint } from "../../kernel/trace/record-key.ts";

/** Signs trust records. */
export const traceSigner: EnvelopeSigner = createSigner("ed25519", new Uint8Array(32).fill(81));

/** Signs revocations of the key above. */
export const revocationSigner: EnvelopeSigner = createSigner("ed25519", new Uint8Array(32).fill(82));

/** A trust record, as far as a log looks at it, signed by `signer`. */
export function makeTrustRecord(members: JsonObject, signer: EnvelopeSigner = traceSigner): JsonObject {
  const record: JsonObject = {
    eat_profile: "tag:agentrust-io.com,2026:trace-v0.2",
    iat: 1_785_000_000,
    subject: "spiffe://acme.example/agent/1",
    data_class: "internal",
    cnf: { jwk: formatJwk(signer.publicKey) },
    ...members,
  };
  return { ...record, signature: formatBase64url(signer.sign(canonicalBytes(record))) };
}

/** A trust record that names its own entry in the log of `origin`. */
export function makeNamedRecord(origin: string, members: JsonObject, signer: EnvelopeSigner = traceSigner): JsonObject {
  const name = derivedName(makeTrustRecord(members, signer));
  return makeTrustRecord({ ...members, transparency: trustRecordUri(origin, name) }, signer);
}

/** A revocation of the record key, by the key above it. */
export function makeRevocation(members: JsonObject, signer: EnvelopeSigner = revocationSigner): JsonObject {
  const statement: JsonObject = {
    type: "TraceRevocation/1.0",
    compromised_key_id: jwkThumbprint(traceSigner.publicKey),
    last_valid_entry_id: "9",
    log_id: "log.example/a",
    reason: "key compromise",
    revocation_key_id: jwkThumbprint(signer.publicKey),
    ...members,
  };
  return { ...statement, sig: { alg: "ed25519", value: formatBase64url(signer.sign(canonicalBytes(statement))) } };
}

/** A bundle of revocations by the key above. */
export function makeRevocationBundle(members: JsonObject, signer: EnvelopeSigner = revocationSigner): JsonObject {
  const bundle: JsonObject = {
    type: "TraceRevocationBundle/1.0",
    log_id: "log.example/a",
    issued_at: 1_785_000_000,
    valid_until: 1_785_086_400,
    statements: [],
    bundle_key_id: jwkThumbprint(signer.publicKey),
    ...members,
  };
  return { ...bundle, sig: { alg: "ed25519", value: formatBase64url(signer.sign(canonicalBytes(bundle))) } };
}
