/** Policy-load receipt: a policy bundle or a mode took effect, or was refused. */

import type { Digest, PolicyRef } from "./fields.ts";
import type { StreamHeader } from "./header.ts";
import type { Observed } from "./observed.ts";
import type { ReasonCode } from "./reasons.ts";
import type { LoadResult, Mode } from "./vocabulary.ts";

/** A file of the bundle; `path` is relative: segments of `[A-Za-z0-9._-]`, joined by `/`, at most 128 characters. */
export type PolicyFile = { readonly path: string; readonly digest: Digest };

/** Body of a policy-load receipt. */
export type PolicyLoadBody = StreamHeader & {
  readonly kind: "policy-load";
  readonly result: LoadResult;
  /** Empty if loaded, else at least one. */
  readonly reasons: readonly ReasonCode[];
  readonly policy: PolicyRef;
  readonly mode: Mode;
  /** The bundle's manifest, sorted by path, at most 256; the digest of the policy is recomputable from it. */
  readonly files: readonly PolicyFile[];
  /** The policy that was in force before. */
  readonly previous: Observed<Digest>;
};
