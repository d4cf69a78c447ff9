/**
 * add-checkpoint of many growing logs, one connection each, with true proofs: durable before the answer. Once with an
 * Ed25519 key, and once with an ML-DSA-44 key beside it.
 */

import { join } from "node:path";
import { startServer } from "../load.ts";
import { prepareWitnessBodies } from "../witness-bodies.ts";
import { contest, formatStanding, type Standing } from "./contest.ts";
import type { BarsContext, Figure } from "./frame.ts";

const LOGS = 128;
/** ML-DSA-44 in JavaScript gives some 200 signatures a second. */
const ML_DSA_LOGS = 16;
const BAR_PER_SECOND = 2000;
/** Requests of a log in a round. */
const REQUESTS = { full: 50, quick: 4 };

/** The figures of the witness. */
export async function measure(context: BarsContext): Promise<readonly Figure[]> {
  const requests = context.isQuick ? REQUESTS.quick : REQUESTS.full;
  const paths = await prepareWitnessBodies(context.folder, LOGS, requests * (context.rounds + 1));
  const plain = await measureWitness(context, paths, requests, []);
  const both = await measureWitness(context, paths.slice(0, ML_DSA_LOGS), requests, ["ml-dsa"]);
  const what = (logs: number): string => `witness: add-checkpoint of ${logs} logs, one connection each`;
  return [
    { what: what(LOGS), value: plain.perSecond, unit: "/s", bar: BAR_PER_SECOND, note: formatStanding(plain) },
    {
      what: `${what(ML_DSA_LOGS)}, with an ML-DSA-44 key beside the Ed25519 one`,
      value: both.perSecond,
      unit: "/s",
      note: formatStanding(both),
    },
  ];
}

/** @param more  further arguments of the witness's process */
async function measureWitness(
  context: BarsContext,
  paths: readonly string[],
  requests: number,
  more: readonly string[],
): Promise<Standing> {
  const folder = join(context.folder, ["witness", ...more].join("-"));
  const server = await startServer("witness-process.js", [folder, "journal", String(LOGS), ...more]);
  const name = ["witness", ...more].join(", ");
  try {
    const standings = await contest(context, [{ name, server }], ({ port }, round) => ({
      port,
      path: "/add-checkpoint",
      headers: {},
      connections: paths.length,
      milliseconds: 60_000,
      bodies: { kind: "files", paths, first: round * requests, count: requests },
    }));
    const standing = standings.get(name);
    if (standing === undefined) throw new Error("the witness has no standing");
    return standing;
  } finally {
    await server.stop();
  }
}
