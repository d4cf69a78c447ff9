/** Looks at what a server says while a call is under way, part by part. */

import type { CallRefusal } from "./call.ts";

/** What becomes of a part of a call's stream. */
export type PartVerdict =
  | { readonly type: "pass" | "drop" }
  /** The call ends with this refusal. */
  | { readonly type: "cut"; readonly refusal: CallRefusal };

/** Looks at what a server says during one call. */
export interface StreamWatch {
  /** True if what passes waits for the call's answer. */
  readonly isBuffered: boolean;
  readonly look: (notification: Uint8Array) => PartVerdict;
}
