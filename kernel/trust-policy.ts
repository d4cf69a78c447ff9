/**
 * Trust policies (docs/formats/trust-policy.md): what a verifier pins and requires. It decides nothing by itself and
 * comes from the one who verifies, never out of a bundle.
 */

import { parseBase64 } from "./base64.ts";
import { FormatError } from "./errors.ts";
import type { JsonValue } from "./json/value.ts";
import { type ObligationId, obligationShape } from "./obligation.ts";
import { gatewayNameShape, type SealRule } from "./policy-artifact.ts";
import type { TrustedBuilder } from "./provenance.ts";
import { type Digest, digestShape, type Hex64, hex64Shape, publicKeyJsonShape } from "./receipt/fields.ts";
import { MODES, type Mode } from "./receipt/vocabulary.ts";
import {
  array,
  integer,
  literal,
  mapped,
  object,
  optional,
  readShape,
  type Shape,
  string,
  timestamp,
} from "./shape.ts";
import { makePublicKey, type PublicKeyJson } from "./signature/public-key.ts";
import type { Timestamp } from "./time.ts";
import { parseWitnessPolicy, type WitnessPolicy } from "./witness-policy.ts";

/** A gateway that the verifier knows. */
export type TrustedGateway = {
  readonly stream: Hex64;
  /** For people; at most 128 characters without control characters. */
  readonly label?: string;
};

/** The file, as JSON. */
export type TrustPolicyJson = {
  readonly kind: "trust-policy";
  readonly v: 1;
  /** C2SP tlog-policy texts; each log's origin occurs in one of them only. */
  readonly logs: readonly string[];
  readonly gateways: readonly TrustedGateway[];
  readonly policies: readonly Digest[];
  readonly catalogs: readonly Digest[];
  readonly modes: readonly Mode[];
  /** At least one, distinct. */
  readonly require: readonly ObligationId[];
  readonly max_receipt_age_seconds?: number;
  readonly not_before?: Timestamp;
  readonly not_after?: Timestamp;
  /** Whose statements about builds count; an id and a key each once. */
  readonly builders?: readonly TrustedBuilderJson[];
  /** Whose signatures seal artifacts; a name and a key each once. */
  readonly sealers?: TrustedSealersJson;
};

/** A builder: its Ed25519 key, and the id by which its statements call it. */
export type TrustedBuilderJson = { readonly id: string; readonly key: PublicKeyJson };

/** Those who seal artifacts, and how many of them one needs: 1 to 4, no more than there are. */
export type TrustedSealersJson = {
  readonly threshold: number;
  readonly signers: readonly { readonly name: string; readonly key: PublicKeyJson }[];
};

/** A trust policy, ready for use. */
export interface TrustPolicy {
  /** Witness policy of each pinned log, by origin. */
  readonly logs: ReadonlyMap<string, WitnessPolicy>;
  /** Pinned streams and their labels; an empty label if there is none. */
  readonly gateways: ReadonlyMap<Hex64, string>;
  /** An empty set pins nothing: the obligation is then not established. */
  readonly policies: ReadonlySet<Digest>;
  readonly catalogs: ReadonlySet<Digest>;
  readonly modes: ReadonlySet<Mode>;
  readonly require: ReadonlySet<ObligationId>;
  readonly maxReceiptAgeSeconds?: number;
  readonly notBefore?: Timestamp;
  readonly notAfter?: Timestamp;
  readonly builders: readonly TrustedBuilder[];
  readonly sealers?: SealRule;
}

const witnessPolicyShape: Shape<WitnessPolicy> = mapped(string({ maxLength: 1_048_576 }), parseWitnessPolicy);

const jsonShape: Shape<TrustPolicyJson & { readonly parsed: readonly WitnessPolicy[] }> = {
  read: (value, path) => {
    const file = fileShape.read(value, path);
    const parsed = file.logs.map((text, i) => witnessPolicyShape.read(text, `${path}.logs[${i}]`));
    return { ...file, parsed };
  },
};

const fileShape: Shape<TrustPolicyJson> = object<TrustPolicyJson>({
  kind: literal("trust-policy"),
  v: literal(1),
  logs: array(string({ maxLength: 1_048_576 }), { min: 1, max: 64 }),
  gateways: array(
    object<TrustedGateway>({
      stream: hex64Shape,
      label: optional(string({ pattern: /^[^\p{Cc}]{1,128}$/u, maxLength: 256 })),
    }),
    { max: 4096 },
  ),
  policies: array(digestShape, { max: 4096 }),
  catalogs: array(digestShape, { max: 4096 }),
  modes: array(literal(...MODES), { max: MODES.length }),
  require: array(obligationShape, { min: 1 }),
  max_receipt_age_seconds: optional(integer({ min: 1 })),
  not_before: optional(timestamp()),
  not_after: optional(timestamp()),
  builders: optional(
    array(
      object<TrustedBuilderJson>({
        id: string({ pattern: /^[\x21-\x7e]{1,1024}$/u, maxLength: 1024 }),
        key: publicKeyJsonShape,
      }),
      { max: 256 },
    ),
  ),
  sealers: optional(
    object<TrustedSealersJson>({
      threshold: integer({ min: 1, max: 4 }),
      signers: array(
        object<TrustedSealersJson["signers"][number]>({ name: gatewayNameShape, key: publicKeyJsonShape }),
        { min: 1, max: 16 },
      ),
    }),
  ),
});

/**
 * The trust policy that a JSON value spells.
 *
 * @throws {FormatError} ERR_SHAPE (naming the field; also for the witness policy texts), ERR_TRUST_POLICY (a log of two
 *   witness policies or of none, a stream or obligation twice, not_before after not_after, more sealers wanted than named)
 * @throws {CheckError} ERR_KEY_WEAK
 */
export function parseTrustPolicy(value: JsonValue): TrustPolicy {
  const file = readShape(jsonShape, value, "trust policy");
  const { not_before: notBefore, not_after: notAfter, max_receipt_age_seconds: maxReceiptAgeSeconds } = file;
  if (notBefore !== undefined && notAfter !== undefined && notBefore > notAfter) {
    throw new FormatError("ERR_TRUST_POLICY", "trust policy.not_before: want a time that is not after not_after");
  }
  return {
    logs: policiesByOrigin(file.parsed),
    gateways: new Map(distinct(file.gateways, "gateways", ({ stream }) => stream).map(withLabel)),
    policies: new Set(file.policies),
    catalogs: new Set(file.catalogs),
    modes: new Set(file.modes),
    require: new Set(distinct(file.require, "require", (id) => id)),
    ...(maxReceiptAgeSeconds === undefined ? {} : { maxReceiptAgeSeconds }),
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(notAfter === undefined ? {} : { notAfter }),
    builders: readBuilders(file.builders ?? []),
    ...(file.sealers === undefined ? {} : { sealers: readSealers(file.sealers) }),
  };
}

/** One key speaks for one builder. */
function readBuilders(builders: readonly TrustedBuilderJson[]): readonly TrustedBuilder[] {
  return distinct(builders, "builders", ({ key }) => key.key).map(({ id, key }) => {
    if (key.alg !== "ed25519") throw new FormatError("ERR_TRUST_POLICY", "trust policy.builders: want ed25519 keys");
    return { id, key: makePublicKey("ed25519", parseBase64(key.key)) };
  });
}

/** A key counts once, whatever it is called. */
function readSealers({ threshold, signers }: TrustedSealersJson): SealRule {
  distinct(signers, "sealers.signers", ({ name }) => name);
  const distinctKeys = distinct(signers, "sealers.signers", ({ key }) => key.key);
  if (threshold > signers.length) {
    throw new FormatError("ERR_TRUST_POLICY", "trust policy.sealers: want a threshold of no more than its signers");
  }
  return {
    threshold,
    signers: distinctKeys.map(({ name, key }) => ({ name, key: makePublicKey(key.alg, parseBase64(key.key)) })),
  };
}

function withLabel({ stream, label = "" }: TrustedGateway): readonly [Hex64, string] {
  return [stream, label];
}

function policiesByOrigin(policies: readonly WitnessPolicy[]): ReadonlyMap<string, WitnessPolicy> {
  const byOrigin = new Map<string, WitnessPolicy>();
  for (const [i, policy] of policies.entries()) {
    const origins = new Set(policy.logs.map(({ key }) => key.name));
    if (origins.size === 0) throw new FormatError("ERR_TRUST_POLICY", `trust policy.logs[${i}]: want a log line`);
    for (const origin of origins) {
      // Which quorum counts for a log must not depend on the order of the file.
      if (byOrigin.has(origin))
        throw new FormatError("ERR_TRUST_POLICY", `trust policy.logs[${i}]: a log of two policies`);
      byOrigin.set(origin, policy);
    }
  }
  return byOrigin;
}

function distinct<T>(items: readonly T[], name: string, key: (item: T) => string): readonly T[] {
  if (new Set(items.map(key)).size === items.length) return items;
  throw new FormatError("ERR_TRUST_POLICY", `trust policy.${name}: want no entry twice`);
}
