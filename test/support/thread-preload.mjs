/**
 * A module that a dependency could be, loaded before the program: it keeps what it can get before a guard stands, leaves a
 * line in LOADED_FILE wherever it is loaded, and with EARLY_THREAD starts a thread of its own.
 */

import { appendFileSync } from "node:fs";
import { Worker } from "node:worker_threads";

globalThis.kept = { Worker };
if (process.env.LOADED_FILE !== undefined) appendFileSync(process.env.LOADED_FILE, "loaded\n");
if (process.env.EARLY_THREAD !== undefined) new Worker("setInterval(() => {}, 1000)", { eval: true }).unref();
