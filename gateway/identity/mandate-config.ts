/** Whose mandates are taken: `auth.mandates` of the gateway's file (docs/gateway.md). */

import { FormatError } from "../../kernel/errors.ts";
import type { MandateRoot } from "../../kernel/mandate/mandate-chain.ts";
import { issuerShape } from "../../kernel/receipt/identity.ts";
import { array, boolean, integer, mapped, object, optional, type Shape, string } from "../../kernel/shape.ts";
import { publicKeyShape } from "../../kernel/signature/public-key.ts";

/** Member `auth.mandates`. */
export type MandateConfig = {
  /** Keys by which principals make first mandates; or a file with them, which is read again. One of the two. */
  readonly roots?: readonly MandateRoot[];
  readonly roots_file?: string;
  /** Lists of what was taken back, one of each key; read again. */
  readonly revocation_files?: readonly string[];
  /** Age at which the files are read again. Default 60. */
  readonly refresh_seconds?: number;
  /** True: a call without a chain of mandates is denied. Default false. */
  readonly required?: boolean;
};

/** Keys by which principals make first mandates. */
export const mandateRootsShape: Shape<readonly MandateRoot[]> = array(
  object<MandateRoot>({
    issuer: issuerShape,
    name: string({ maxLength: 255, description: "a name" }),
    key: publicKeyShape,
  }),
  { min: 1, max: 256 },
);

const path: Shape<string> = string({ pattern: /^[^\0]+$/u, maxLength: 4096, description: "a path" });

/** Shape of `auth.mandates`. */
export const mandatesShape: Shape<MandateConfig> = mapped(
  object<MandateConfig>({
    roots: optional(mandateRootsShape),
    roots_file: optional(path),
    revocation_files: optional(array(path, { min: 1, max: 256 })),
    refresh_seconds: optional(integer({ min: 1, max: 86_400 })),
    required: optional(boolean()),
  }),
  (config) => {
    if ((config.roots === undefined) !== (config.roots_file === undefined)) return config;
    throw new FormatError("ERR_SHAPE", "want either roots or roots_file");
  },
);
