/**
 * A ledger in a process of its own, for tests that kill it and for benchmarks; runs from dist/.
 *
 *     node ledger-process.js <data folder> <port> receipts|raw [<witness policy>]
 *
 * Prints its address, and the CPU time that its start took, as one line of JSON. Keys and tokens are the fixed ones of ledger-service.ts.
 */

import { startLedger } from "../../ledger/start.ts";
import { ledgerOptions, NO_WITNESSES } from "./ledger-service.ts";

const [dataDir = "", port = "0", kind, policy = NO_WITNESSES] = process.argv.slice(2);
const say = (fields: object, message: string): void => console.error(JSON.stringify({ message, ...fields }));
const logger = { info: () => undefined, warn: say, error: say };
const config = {
  listen: { port: Number(port) },
  log_kind: kind === "receipts" ? ("receipts" as const) : ("raw" as const),
  witness_policy: policy,
  checkpoint_ms: 200,
  witness_ms: 1000,
};
const service = await startLedger(ledgerOptions(dataDir, logger, { config, signing: "worker" }));
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ url: service.url, cpuMs: (user + system) / 1000 }));
process.once("SIGTERM", () => void service.close().then(() => process.exit(0)));
