/** Calls into WebAssembly: whoever makes some imports this file, which makes them safe in the whole process. */

import { setFlagsFromString } from "node:v8";

// The V8 of Node 20 ends the process ("unreachable code" in its deoptimizer) when it deoptimizes a function that waits in a
// call into WebAssembly which was inlined; a gateway met that after some thousand calls. Later versions do not have it.
if (process.versions.v8.startsWith("11.")) setFlagsFromString("--no-turbo-inline-js-wasm-calls");
