/**
 * How far the heaps of the gateway's threads grow before all of one is collected.
 *
 * Receipts on their way to the ledger, bodies and answers lie outside of the heap, die young and count as the heap does. By itself the
 * runtime went through all of the delivery thread's heap, 12 MB that live as long as it, more than once a second: each time several
 * helpers of the runtime took the processors for some milliseconds, and the calls that met them were the slowest of all.
 */

import { setFlagsFromString } from "node:v8";

/** Of V8. */
export const GROWTH_FLAG: string = "--heap-growing-percent";
/** Up to four times what was alive, the most that the runtime ever chooses by itself. */
const GROWTH_PERCENT = 300;

/** For all heaps of the process, from their next collection on; called again, it changes nothing. */
export function growHeapsInLargeSteps(): void {
  setFlagsFromString(`${GROWTH_FLAG}=${GROWTH_PERCENT}`);
}
