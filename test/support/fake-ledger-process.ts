/** The fake ledger in a process of its own: for benchmarks whose subject is not the ledger. */

import { growHeapInLargeSteps } from "../../ledger/heap-growth.ts";
import { startFakeLedger } from "./fake-ledger.ts";

// As `startLedger` does.
growHeapInLargeSteps();
const { url } = await startFakeLedger({ offersStream: true });
console.log(JSON.stringify({ url }));
