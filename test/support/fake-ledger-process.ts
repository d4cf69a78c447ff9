/** The fake ledger in a process of its own: for benchmarks whose subject is not the ledger. */

import { startFakeLedger } from "./fake-ledger.ts";

const { url } = await startFakeLedger();
console.log(JSON.stringify({ url }));
