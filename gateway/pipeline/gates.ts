/** The gates of a run in a row: the first that refuses ends it, and those before it let go of what they took. */

import type { InboundCall } from "./call.ts";
import type { Admission, Gate } from "./stage.ts";

/** What all gates say of a call. */
export function passGates(gates: readonly Gate[], call: InboundCall): Admission {
  const taken: ((wasSent: boolean) => void)[] = [];
  const abandon = (wasSent: boolean): void => {
    for (const release of taken) release(wasSent);
  };
  for (const gate of gates) {
    const admission = gate.admit(call);
    if (admission.type === "refused") {
      abandon(false);
      return admission;
    }
    if (admission.abandon !== undefined) taken.push(admission.abandon);
  }
  return { type: "admitted", abandon };
}
