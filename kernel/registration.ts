/** Registration: a gateway's keys ask for admission to a log. Signed by both keys; logged exactly as submitted. */

import type { Signed } from "./signature/envelope.ts";
import type { PublicKeyJson } from "./signature/public-key.ts";
import type { Timestamp } from "./time.ts";

/** Body of a registration. */
export type RegistrationBody = {
  readonly kind: "registration";
  readonly v: 1;
  readonly origin: string;
  readonly instance_key: PublicKeyJson;
  readonly receipt_key: PublicKeyJson;
  /** What speaks for the instance key. */
  readonly evidence: { readonly type: "software" };
  /** A name for people: `[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}`. It proves nothing. */
  readonly label?: string;
  readonly time: Timestamp;
};

/** A registration with the signatures of the instance key and the receipt key. */
export type Registration = Signed<RegistrationBody>;
