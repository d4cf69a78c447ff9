/** The one type that both sides of `#crypto` have: node.ts (node:crypto) and browser.ts (@noble). */

/** Signs a message with the secret it was made from. */
export type Signer = (message: Uint8Array) => Uint8Array;

/** The bare verdict of the algorithm: no key guard, no exception on a malformed signature. */
export type Verifier = (message: Uint8Array, signature: Uint8Array) => boolean;

/** One signature algorithm over raw keys. A secret is the 32-byte seed (Ed25519, ML-DSA) or scalar (P-256). */
export interface SignatureAlgorithm {
  /** Raw public key: Ed25519 32 B; P-256 65 B (04 ‖ x ‖ y); ML-DSA-44 1312 B; ML-DSA-65 1952 B. */
  readonly publicKey: (secret: Uint8Array) => Uint8Array;
  /** Imports the secret once; P-256 signatures are r ‖ s (64 B) and low-S. */
  readonly signer: (secret: Uint8Array) => Signer;
  /** Imports the public key once; a key that cannot be imported gives a verifier that refuses everything. */
  readonly verifier: (publicKey: Uint8Array) => Verifier;
}

/**
 * What `#crypto` exports. All functions are synchronous, and deterministic but for two kinds of signing under Node: P-256,
 * and ML-DSA where it is native (hedged, FIPS 204 §3.4). Never compare two signatures; check them.
 */
export interface CryptoPrimitives {
  readonly sha256: (data: Uint8Array) => Uint8Array;
  /** Writes the same 32 bytes at `at` of `to`, which has room for them; for whoever hashes much and keeps nothing between. */
  readonly sha256Into: (data: Uint8Array, to: Uint8Array, at: number) => void;
  readonly hmacSha256: (key: Uint8Array, data: Uint8Array) => Uint8Array;
  readonly ed25519: SignatureAlgorithm;
  readonly p256: SignatureAlgorithm;
  readonly mlDsa44: SignatureAlgorithm;
  readonly mlDsa65: SignatureAlgorithm;
  /** Which implementation decides each algorithm's verdict, for reports: `node:crypto`, `sodium-native` or `@noble/...`. */
  readonly implementations: Readonly<Record<"sha256" | "ed25519" | "p256" | "mlDsa44" | "mlDsa65", string>>;
}
