/**
 * add-checkpoint, durable before the answer, against a witness that replaces one file for each request: in the same run, by
 * the same client, over loopback; witness, client and disk share the machine. Each connection is one log that grows by one
 * entry a request, with a true proof; every answer counted is a cosignature.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bench } from "./harness.ts";
import { load, printRow, rateOf, startServer } from "./load.ts";
import { prepareWitnessBodies } from "./witness-bodies.ts";

const LOGS = 256;
const REQUESTS = { full: 80, quick: 4 };
const CONTENDERS = [
  { name: "one file replaced a request", args: ["files"] },
  { name: "witness", args: ["journal"] },
  { name: "witness with a fence", args: ["journal", "fence"] },
] as const;

/** Witness benchmarks. */
export const bench: Bench = async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "countersign-bench-"));
  try {
    const requests = context.isQuick ? REQUESTS.quick : REQUESTS.full;
    const paths = await prepareWitnessBodies(folder, LOGS, requests);
    context.print(`\nwitness: add-checkpoint, ${LOGS} logs, one connection each, ${requests} requests a log`);
    let baseline: number | undefined;
    for (const { name, args } of CONTENDERS) {
      const [kind, ...more] = args;
      const server = await startServer("witness-process.js", [join(folder, name), kind, String(LOGS), ...more]);
      try {
        const bodies = { kind: "files", paths } as const;
        const job = {
          port: server.port,
          path: "/add-checkpoint",
          headers: {},
          connections: LOGS,
          milliseconds: 60_000,
          bodies,
        };
        const result = await load(job);
        baseline ??= rateOf(result);
        printRow(context, name, result, 1, baseline);
      } finally {
        await server.stop();
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
