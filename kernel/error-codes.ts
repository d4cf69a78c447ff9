/**
 * The closed list of error codes. One line per code: what the caller got wrong, in one sentence.
 * docs/errors.md is held to this table by a test. Keep it sorted inside its group.
 */
export const ERROR_CODES = {
  // bytes and text
  ERR_BASE64: "not canonical base64 (RFC 4648 §4: padded, no spare bits)",
  ERR_BYTES_LENGTH: "a byte string does not have the length that its format fixes",
  ERR_HEX: "not lower-case hexadecimal of the expected length",
  ERR_UTF8: "not valid UTF-8",
  // JSON
  ERR_JSON_CANONICAL: "the bytes are not the RFC 8785 form of the value they hold",
  ERR_JSON_DEPTH: "JSON nested deeper than the limit",
  ERR_JSON_DUPLICATE_KEY: "an object has two equal keys",
  ERR_JSON_NUMBER: "a number that I-JSON cannot carry exactly (unsafe integer, overflow, negative zero)",
  ERR_JSON_SIZE: "a JSON document above the size limit",
  ERR_JSON_SURROGATE: "a string or key holds a lone surrogate",
  ERR_JSON_SYNTAX: "not JSON (RFC 8259)",
  ERR_SHAPE: "a field is missing, unknown, or not of the form its format fixes",
  // keys and signatures
  ERR_KEY_INVALID: "a public key or secret that its algorithm cannot use",
  ERR_KEY_WEAK: "an Ed25519 key or point that is non-canonical, of small order, or not torsion-free",
  // our own faults
  ERR_BUG: "an invariant of Countersign itself is broken; please report it",
} as const;

/** One code of the closed list. */
export type ErrorCode = keyof typeof ERROR_CODES;
