/** Configuration of a ledger's SCITT edge (docs/scitt.md): the keys of its receipts, and whose statements it registers. */

import { type CoseKey, parseCoseKey } from "../../kernel/cose/cose-key.ts";
import { array, base64Bytes, integer, mapped, object, optional, type Shape, string } from "../../kernel/shape.ts";

/** An issuer of statements and its keys. */
export type TrustedIssuer = {
  /** Equal to the statement's issuer claim. */
  readonly issuer: string;
  /** COSE_Keys, base64 in the file. */
  readonly keys: readonly CoseKey[];
};

/** The member `scitt` of a ledger's configuration. `*_file` are paths, read by the command line. */
export type ScittConfig = {
  /** Secret envelope key (ed25519 or es256) that signs COSE receipts and nothing else. */
  readonly key_file: string;
  /** Public halves of earlier such keys, COSE_Key in base64: they stay resolvable. Default none. */
  readonly retired_keys?: readonly CoseKey[];
  /** Whose statements are registered. */
  readonly issuers: readonly TrustedIssuer[];
  /** Requests a minute from one address. Default 600. */
  readonly requests_per_minute?: number;
  /** How long a registration waits for its receipt before it answers 303. Default 1000. */
  readonly wait_ms?: number;
};

/** Defaults of the optional members. */
export const SCITT_DEFAULTS = { requestsPerMinute: 600, waitMs: 1000 } as const;

const path = string({ pattern: /^[^\0]+$/, maxLength: 4096, description: "a path" });
const coseKey = mapped(base64Bytes(), (bytes) => parseCoseKey(bytes));

/** Shape of `ScittConfig`. */
export const scittConfigShape: Shape<ScittConfig> = object<ScittConfig>({
  key_file: path,
  retired_keys: optional(array(coseKey, { max: 64 })),
  issuers: array(
    object<TrustedIssuer>({
      issuer: string({ pattern: /^.+$/su, maxLength: 4096, description: "an issuer" }),
      keys: array(coseKey, { min: 1, max: 64 }),
    }),
    { max: 4096 },
  ),
  requests_per_minute: optional(integer({ min: 1, max: 1_000_000 })),
  wait_ms: optional(integer({ max: 30_000 })),
});
