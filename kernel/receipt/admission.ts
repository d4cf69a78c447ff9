/**
 * Admission receipt: a Kubernetes cluster asked whether an object may be, and was told. Names of the cluster appear as keyed
 * hashes, images and artifacts by their digests.
 */

import { FormatError } from "../errors.ts";
import { array, boolean, literal, mapped, object, type Shape } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { type Commitment, commitmentShape, type Digest, digestShape, type Hex64, hex64Shape } from "./fields.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import { type Principal, principalShape } from "./identity.ts";
import { type Observed, observed } from "./observed.ts";
import { type ReasonCode, reasonShape } from "./reasons.ts";
import {
  ADMISSION_OPERATIONS,
  ADMISSION_RESOURCES,
  ADMISSION_ROLES,
  type AdmissionOperation,
  type AdmissionResource,
  type AdmissionRole,
} from "./vocabulary.ts";

/** Most images of one object. */
export const MAX_IMAGES = 64;

/** Body of an admission receipt. */
export type AdmissionBody = StreamHeader & {
  readonly kind: "admission";
  /** Commitment to the review as it came. */
  readonly review: Observed<Commitment>;
  /** Whom the cluster names as asking. */
  readonly requester: Observed<Principal>;
  readonly operation: AdmissionOperation;
  readonly resource: AdmissionResource;
  /** Keyed hash of the namespace's name. */
  readonly namespace: Observed<Hex64>;
  /** What the pod says to be. */
  readonly role: Observed<AdmissionRole>;
  /** Digest of the sealed artifact that it was judged by. */
  readonly artifact: Observed<Digest>;
  /** Digests of its images, sorted, each once. */
  readonly images: Observed<readonly Digest[]>;
  /** Digest of the agent as its images are (docs/deployment.md). */
  readonly code: Observed<Digest>;
  readonly allowed: boolean;
  readonly reason: ReasonCode;
};

const imagesShape: Shape<readonly Digest[]> = mapped(array(digestShape, { max: MAX_IMAGES }), (images) => {
  if (images.every((digest, i) => i === 0 || (images[i - 1] ?? "") < digest)) return images;
  throw new FormatError("ERR_SHAPE", "admission: want images sorted and each once");
});

/** Why an object may be; every other reason says why it may not. */
const ALLOWING: ReadonlySet<ReasonCode> = new Set(["admission.sealed", "admission.unchanged", "admission.ungoverned"]);

export const admissionShape: Shape<Signed<AdmissionBody>> = mapped(
  object<Signed<AdmissionBody>>({
    ...headerMembers,
    kind: literal("admission"),
    review: observed(commitmentShape),
    requester: observed(principalShape),
    operation: literal(...ADMISSION_OPERATIONS),
    resource: literal(...ADMISSION_RESOURCES),
    namespace: observed(hex64Shape),
    role: observed(literal(...ADMISSION_ROLES)),
    artifact: observed(digestShape),
    images: observed(imagesShape),
    code: observed(digestShape),
    allowed: boolean(),
    reason: reasonShape,
    signatures: signaturesShape,
  }),
  (receipt) => {
    if (receipt.allowed !== ALLOWING.has(receipt.reason)) {
      throw new FormatError("ERR_SHAPE", "admission: want a reason that goes with the answer");
    }
    if (receipt.reason === "admission.sealed" && receipt.artifact.state !== "present") {
      throw new FormatError("ERR_SHAPE", "admission: want the artifact that seals it");
    }
    return receipt;
  },
);
