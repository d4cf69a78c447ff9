/** ed25519/cctv and ml-dsa/accumulated: the bare primitives of `#crypto`, without key guard. */

import { createHash } from "node:crypto";
import { ed25519 as curve } from "@noble/curves/ed25519.js";
import { ed25519, mlDsa44, mlDsa65 } from "#crypto";
import { nobleMlDsa44, nobleMlDsa65 } from "../../../kernel/crypto/noble-ml-dsa.ts";
import { opensslEd25519 } from "../../../kernel/crypto/node.ts";
import type { SignatureAlgorithm } from "../../../kernel/crypto/primitives.ts";
import { formatHex, parseHex } from "../../../kernel/hex.ts";
import {
  type CaseFile,
  type CaseResult,
  caseId,
  compare,
  eachCase,
  find,
  integerOf,
  type KindHandler,
  skipped,
  textOf,
  type VectorObject,
  verdictOf,
} from "../case-file.ts";

/** Encoding of the neutral point. */
const IDENTITY = Uint8Array.of(1, ...new Uint8Array(31));

/** OpenSSL since 3.5 refuses points of small order, found by trying one; 3.0, whose verdicts the vectors pin, takes them. */
const takesSmallOrder = opensslEd25519.verifier(IDENTITY)(IDENTITY, Uint8Array.of(...IDENTITY, ...new Uint8Array(32)));

async function* cctv(file: CaseFile): AsyncGenerator<CaseResult> {
  for (const one of file.cases) {
    const [expected, finding] = [verdictOf(one), await find(() => cctvVerdict(one))];
    const isNewer = !takesSmallOrder && expected === "accept" && finding.got === "reject" && hasSmallOrder(one);
    if (isNewer)
      yield skipped(caseId(file, one), "the OpenSSL of this Node refuses points of small order; the pin is of 3.0");
    else yield compare(caseId(file, one), expected, finding);
  }
}

/** OpenSSL's verdict. @throws if what `#crypto` uses gives another one on anything but points of small order, which the guard refuses */
function cctvVerdict(one: VectorObject): "accept" | "reject" {
  const [openssl, used] = [opensslEd25519, ed25519].map((algorithm) => isAccepted(algorithm, one));
  if (openssl !== used && !hasSmallOrder(one)) throw new Error("the Ed25519 in use decides otherwise than OpenSSL");
  return openssl === true ? "accept" : "reject";
}

function isAccepted({ verifier }: SignatureAlgorithm, one: VectorObject): boolean {
  const message = new TextEncoder().encode(textOf(one, "msg"));
  return verifier(parseHex(textOf(one, "key")))(message, parseHex(textOf(one, "sig")));
}

/** True if the key or R is one of the eight points of small order. */
function hasSmallOrder(one: VectorObject): boolean {
  const points = [parseHex(textOf(one, "key")), parseHex(textOf(one, "sig")).subarray(0, 32)];
  return points.some((point) => curve.Point.fromBytes(point, true).isSmallOrder());
}

/** A parameter set: what `#crypto` has, and what signs without randomness, as the accumulated value needs it. */
interface ParameterSet {
  readonly used: SignatureAlgorithm;
  readonly deterministic: SignatureAlgorithm;
}

const MLDSA: Readonly<Record<string, ParameterSet>> = {
  "ML-DSA-44": { used: mlDsa44, deterministic: nobleMlDsa44 },
  "ML-DSA-65": { used: mlDsa65, deterministic: nobleMlDsa65 },
};
const SEED_BYTES = 32;
const NOTHING = new Uint8Array(0);

/** SHAKE128 of nothing gives the seeds; SHAKE128 over each public key and signature of nothing gives the result. */
const accumulated = eachCase(
  (one) => {
    const set = MLDSA[textOf(one, "parameter_set")];
    if (set === undefined) return "parameter set not built";
    const iterations = Number(integerOf(one, "iterations"));
    const seeds = createHash("shake128", { outputLength: SEED_BYTES * iterations }).digest();
    const result = createHash("shake128", { outputLength: SEED_BYTES });
    for (let i = 0; i < iterations; i += 1) {
      const seed = Uint8Array.from(seeds.subarray(i * SEED_BYTES, (i + 1) * SEED_BYTES));
      const publicKey = set.used.publicKey(seed);
      const signature = set.deterministic.signer(seed)(NOTHING);
      // Native signatures are hedged: they are no part of the value, but the native verdict on these is asked for.
      if (set.used !== set.deterministic && !set.used.verifier(publicKey)(NOTHING, signature)) return "native refuses";
      result.update(publicKey).update(signature);
    }
    return formatHex(result.digest());
  },
  (one) => textOf(one, "result_hex"),
);

/** By kind. */
export const primitiveKinds: Readonly<Record<string, KindHandler>> = {
  "ed25519/cctv": cctv,
  "ml-dsa/accumulated": accumulated,
};
