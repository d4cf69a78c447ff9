/** ed25519/cctv and ml-dsa/accumulated: the bare primitives of `#crypto`, without key guard. */

import { createHash } from "node:crypto";
import { ed25519, mlDsa44, mlDsa65 } from "#crypto";
import type { SignatureAlgorithm } from "../../../kernel/crypto/primitives.ts";
import { formatHex, parseHex } from "../../../kernel/hex.ts";
import { eachCase, integerOf, type KindHandler, textOf } from "../case-file.ts";

const cctv = eachCase((one) => {
  const verify = ed25519.verifier(parseHex(textOf(one, "key")));
  const message = new TextEncoder().encode(textOf(one, "msg"));
  return verify(message, parseHex(textOf(one, "sig"))) ? "accept" : "reject";
});

const MLDSA: Readonly<Record<string, SignatureAlgorithm>> = { "ML-DSA-44": mlDsa44, "ML-DSA-65": mlDsa65 };
const SEED_BYTES = 32;

/** SHAKE128 of nothing gives the seeds; SHAKE128 over each public key and signature of nothing gives the result. */
const accumulated = eachCase(
  (one) => {
    const algorithm = MLDSA[textOf(one, "parameter_set")];
    if (algorithm === undefined) return "parameter set not built";
    const iterations = Number(integerOf(one, "iterations"));
    const seeds = createHash("shake128", { outputLength: SEED_BYTES * iterations }).digest();
    const result = createHash("shake128", { outputLength: SEED_BYTES });
    for (let i = 0; i < iterations; i += 1) {
      const seed = Uint8Array.from(seeds.subarray(i * SEED_BYTES, (i + 1) * SEED_BYTES));
      result.update(algorithm.publicKey(seed)).update(algorithm.signer(seed)(new Uint8Array(0)));
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
