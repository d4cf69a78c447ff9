/**
 * Ed25519 by libsodium, through the addon sodium-native, where it is installed and loads: it takes less than half of OpenSSL's time
 * for a verdict and for a signature.
 *
 * The verdict is OpenSSL's for every key that has passed the key guard: S below the group order, R recomputed and compared by
 * its bytes. Beside that libsodium refuses what the guard refuses (keys of small order or not canonical) and every R of
 * small order, as OpenSSL does since 3.5. A libsodium that multiplies by the cofactor would accept more; which one was built
 * into an addon cannot be read off its version, so it is asked, with signatures that tell the two apart, before it is used.
 */

import { createRequire } from "node:module";
import { equalBytes } from "../bytes.ts";
import { parseHex } from "../hex.ts";
import { requireSecretLength } from "./key-encoding.ts";
import type { SignatureAlgorithm } from "./primitives.ts";

/** What is used of the addon. Lengths are as named; other lengths throw. */
interface Sodium {
  readonly crypto_sign_seed_keypair: (publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array) => void;
  readonly crypto_sign_detached: (signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array) => void;
  readonly crypto_sign_verify_detached: (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => boolean;
}

const SEED_BYTES = 32;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const SECRET_KEY_BYTES = 64;

/** Undefined if the addon is not installed, has no build for this platform, may not be loaded, or decides otherwise than OpenSSL. */
export function loadSodiumEd25519(): SignatureAlgorithm | undefined {
  const sodium = loadSodium();
  if (sodium === undefined) return undefined;
  const algorithm = makeSodiumEd25519(sodium);
  return decidesAsOpenssl(algorithm) ? algorithm : undefined;
}

function loadSodium(): Sodium | undefined {
  try {
    const addon: unknown = createRequire(import.meta.url)("sodium-native");
    return isSodium(addon) ? addon : undefined;
  } catch {
    return undefined;
  }
}

function isSodium(addon: unknown): addon is Sodium {
  const names = ["crypto_sign_seed_keypair", "crypto_sign_detached", "crypto_sign_verify_detached"];
  return names.every((name) => typeof Reflect.get(Object(addon), name) === "function");
}

function makeSodiumEd25519(sodium: Sodium): SignatureAlgorithm {
  // The addon asks a view for its buffer: for a short array V8 would make one, outside its heap, each time.
  const checked = outsideHeap(SIGNATURE_BYTES);
  const made = outsideHeap(SIGNATURE_BYTES);
  const keyPair = (seed: Uint8Array): { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array } => {
    const publicKey = outsideHeap(KEY_BYTES);
    const secretKey = outsideHeap(SECRET_KEY_BYTES);
    sodium.crypto_sign_seed_keypair(publicKey, secretKey, requireSecretLength(seed, SEED_BYTES, "Ed25519 seed"));
    return { publicKey, secretKey };
  };
  return {
    publicKey: (seed) => keyPair(seed).publicKey,
    signer: (seed) => {
      const { secretKey } = keyPair(seed);
      return (message) => {
        sodium.crypto_sign_detached(made, message, secretKey);
        return made.slice();
      };
    },
    verifier: (publicKey) => {
      if (publicKey.length !== KEY_BYTES) return () => false;
      const key = outsideHeap(KEY_BYTES);
      key.set(publicKey);
      return (message, signature) => {
        if (signature.length !== SIGNATURE_BYTES) return false;
        checked.set(signature);
        return sodium.crypto_sign_verify_detached(checked, message, key);
      };
    },
  };
}

function outsideHeap(length: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(length));
}

/** RFC 8032 §7.1 test 2. */
const SEED = parseHex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
const PUBLIC_KEY = parseHex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
const MESSAGE = Uint8Array.of(0x72);
const R = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da";
const SIGNATURE = parseHex(`${R}085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00`);
/** What OpenSSL refuses of the same key and message, made with its secret. */
const REFUSED = [
  // S + L in the place of S.
  `${R}f52db7415978abc61b2c2eb6aeebfca0387b2eaeb4302aeeb00d291612bb0c10`,
  // r·B with a component of order 8, and one with a component of order 2: what holds after a multiplication by 8.
  "80ed1f61e48d5a4a18f4a47fb41e57a69dccc0d55cc09c4c198f280897d84468" +
    "71e215362a30436b2a45e7b2489919dff110ebe9943c2ae68aeb2a5a038c6e00",
  "066c00fd2099f7ffdf2083fcc26aeaa09979a52f89fd25f51be3f3934d990742" +
    "3c05c842bc15fdfd14b7c6e075af3f16c0771b78f123d216f71eb7e89f56aa0b",
].map((text) => parseHex(text));

/** Whether it makes the signature of the RFC, takes it, and refuses the others. */
export function decidesAsOpenssl({ publicKey, signer, verifier }: SignatureAlgorithm): boolean {
  const verify = verifier(PUBLIC_KEY);
  return (
    equalBytes(publicKey(SEED), PUBLIC_KEY) &&
    equalBytes(signer(SEED)(MESSAGE), SIGNATURE) &&
    verify(MESSAGE, SIGNATURE) &&
    !REFUSED.some((signature) => verify(MESSAGE, signature))
  );
}
