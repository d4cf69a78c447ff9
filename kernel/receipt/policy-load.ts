/** Policy-load receipt: a policy bundle or a mode took effect, or was refused. */

import { array, literal, mapped, object, type Shape, string } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { type Digest, digestShape, MAX_NAMES, type PolicyRef, policyRefShape } from "./fields.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import { checkLoad } from "./load.ts";
import { type Observed, observed } from "./observed.ts";
import { type ReasonCode, reasonShape } from "./reasons.ts";
import { LOAD_RESULTS, type LoadResult, MODES, type Mode } from "./vocabulary.ts";

/** A file of the bundle; `path` is relative: segments of `[A-Za-z0-9_-][A-Za-z0-9._-]*`, joined by `/`, at most 128 characters. */
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

/** Path of a file in a policy bundle. */
export const policyPathShape: Shape<string> = string({
  pattern: /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/u,
  maxLength: 128,
});

export const policyLoadShape: Shape<Signed<PolicyLoadBody>> = mapped(
  object<Signed<PolicyLoadBody>>({
    ...headerMembers,
    kind: literal("policy-load"),
    result: literal(...LOAD_RESULTS),
    reasons: array(reasonShape, { max: MAX_NAMES }),
    policy: policyRefShape,
    mode: literal(...MODES),
    files: array(object<PolicyFile>({ path: policyPathShape, digest: digestShape }), { max: 256 }),
    previous: observed(digestShape),
    signatures: signaturesShape,
  }),
  (receipt) => {
    const paths = receipt.files.map(({ path }) => path);
    checkLoad(receipt, paths);
    return receipt;
  },
);
