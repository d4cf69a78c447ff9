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
  ERR_TIMESTAMP: "not a time of the form YYYY-MM-DDTHH:MM:SS.mmmZ, or one that does not exist",
  // keys and signatures
  ERR_KEY_INVALID: "a public key or secret that its algorithm cannot use",
  ERR_KEY_WEAK: "an Ed25519 key or point that is non-canonical, of small order, or not torsion-free",
  ERR_KID: "not a key id (64 lower-case hexadecimal digits)",
  ERR_SIGNATURE_INVALID: "an envelope's signature by the expected key does not hold",
  ERR_SIGNATURE_MISSING: "an envelope has no signature by the expected key",
  // commitments
  ERR_OPENING_FIELD: "an opening names a field that the committed value cannot have",
  ERR_OPENING_MISMATCH: "an opening or payload is not what the commitment holds",
  // Merkle tree and tiles
  ERR_BUNDLE_LENGTH: "an entry bundle does not hold exactly the entries that its width promises",
  ERR_COMPACT_RANGE: "a right edge does not have one node for each one bit of its size",
  ERR_ENTRY_LENGTH: "an entry longer than 65,535 bytes",
  ERR_HASH_LENGTH: "a Merkle hash that is not 32 bytes",
  ERR_INDEX_RANGE: "a leaf index that is not below the tree size",
  ERR_OLD_ROOT_MISMATCH: "a consistency proof that does not lead to the root of the old tree",
  ERR_PROOF_LENGTH: "a proof with another number of hashes than its place and size determine",
  ERR_ROOT_MISMATCH: "a proof that does not lead to the root of the tree",
  ERR_SIZE_RANGE: "an old tree size that is zero or above the new one",
  ERR_SUBTREE_MISMATCH: "a proof that does not lead to the hash of the subtree",
  ERR_SUBTREE_RANGE: "a range of leaves that is empty, not a valid subtree, or outside the tree",
  ERR_TILE_LENGTH: "a hash tile that does not hold exactly the hashes that its width promises",
  ERR_TILE_PATH: "not the one spelling of a tile path (C2SP tlog-tiles)",
  // signed notes, checkpoints, cosignatures, witness policies, log proofs
  ERR_CHECKPOINT: "not a checkpoint: origin, size, root hash, each on its line (C2SP tlog-checkpoint)",
  ERR_COSIGNATURE: "a cosignature of another length or with a time that its type does not allow",
  ERR_DECIMAL: "not a decimal below 2^64 without sign or leading zero",
  ERR_KEY_NAME: "a key name that is empty or holds a space, a plus sign or a control character",
  ERR_LOG_PROOF: "not a log proof (C2SP tlog-proof)",
  ERR_LOG_SIGNATURE: "a checkpoint that no trusted key of its log signed",
  ERR_NOTE: "not a signed note: text, empty line, signature lines (C2SP signed-note)",
  ERR_NOTE_SIGNATURE: "a signature line of a known key that does not verify",
  ERR_NOTE_SIZE: "a note above the limit of bytes or signature lines",
  ERR_NOTE_UNSIGNED: "a note without a signature of a known key",
  ERR_ORIGIN: "a checkpoint of a log that the policy does not name",
  ERR_POLICY: "not a witness policy (C2SP tlog-policy)",
  ERR_POLICY_KEY: "a witness policy with a key of the wrong type, or with the same key twice",
  ERR_POLICY_NAME: "a witness policy with a name that is unknown, used twice or a member twice",
  ERR_POLICY_QUORUM: "a witness policy without exactly one quorum line",
  ERR_QUORUM: "cosigned by fewer witnesses than the policy's quorum",
  ERR_VKEY: "not a verifier key: name+id+base64 (C2SP signed-note)",
  ERR_VKEY_ID: "a verifier key whose id is not that of its name and key",
  ERR_VKEY_TYPE: "a verifier key of a type that is not 0x01, 0x04 or 0x06",
  // our own faults
  ERR_BUG: "an invariant of Countersign itself is broken; please report it",
} as const;

/** One code of the closed list. */
export type ErrorCode = keyof typeof ERROR_CODES;
