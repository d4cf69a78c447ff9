/**
 * add-checkpoint of many growing logs, one connection each, with true proofs: durable before the answer. Once with an
 * Ed25519 key, and once with an ML-DSA-44 key beside it.
 */

import { join } from "node:path";
import { startServer } from "../load.ts";
import { prepareWitnessBodies } from "../witness-bodies.ts";
import { type Contender, contest, formatStanding } from "./contest.ts";
import type { BarsContext, Figure } from "./frame.ts";

const LOGS = 128;
const BAR_PER_SECOND = 2000;
/** Requests of a log in a round. */
const REQUESTS = { full: 50, quick: 4 };

/** The figures of the witness. */
export async function measure(context: BarsContext): Promise<readonly Figure[]> {
  const { folder, isQuick, rounds } = context;
  const requests = isQuick ? REQUESTS.quick : REQUESTS.full;
  const paths = await prepareWitnessBodies(folder, LOGS, requests * (rounds + 1));
  const witness = await startServer("witness-process.js", [join(folder, "witness"), "journal", String(LOGS)]);
  const contenders: Contender[] = [{ name: "witness", server: witness }];
  try {
    const standings = await contest(context, contenders, ({ port }, round) => ({
      port,
      path: "/add-checkpoint",
      headers: {},
      connections: LOGS,
      milliseconds: 60_000,
      bodies: { kind: "files", paths, first: round * requests, count: requests },
    }));
    const here = standings.get("witness");
    if (here === undefined) throw new Error("the witness has no standing");
    return [
      {
        what: `witness: add-checkpoint of ${LOGS} logs, one connection each`,
        value: here.perSecond,
        unit: "/s",
        bar: BAR_PER_SECOND,
        note: formatStanding(here),
      },
    ];
  } finally {
    for (const each of contenders) await each.server.stop();
  }
}
