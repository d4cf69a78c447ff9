/** Several servers under the same load, one after the other and in turn, so that a busy machine slows all of them alike. */

import type { LoadJob } from "../../support/ledger-load.ts";
import { load, rateOf, type Server } from "../load.ts";
import { type BarsContext, median, quantile } from "./frame.ts";
import { processorTimeOf } from "./processor-time.ts";

/** A server under test. */
export interface Contender {
  readonly name: string;
  readonly server: Server;
}

/** How a contender did; each value is the median of its rounds. */
export interface Standing {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor microseconds of an operation: the serving thread, and all threads. */
  readonly servingUs: number;
  readonly allUs: number;
  /** The same of the load, which has it from the machine that the server is on. */
  readonly clientUs: number;
}

/** What to send to a server in a round, from 0, which warms up. */
export type JobOf = (server: Server, round: number) => LoadJob;

/**
 * Loads each contender in turn, `rounds` times after one round that does not count (a smoke run warms nothing up).
 *
 * @param each  operations of one request
 * @returns by name
 * @throws if a server refused anything: figures of refusals are none
 */
export async function contest(
  { rounds, isQuick, say }: BarsContext,
  contenders: readonly Contender[],
  jobOf: JobOf,
  each = 1,
): Promise<ReadonlyMap<string, Standing>> {
  const standings = new Map<string, Standing[]>(contenders.map(({ name }) => [name, []]));
  const warmUps = isQuick ? 0 : 1;
  for (let round = 0; round < rounds + warmUps; round += 1) {
    for (const { name, server } of contenders) {
      const standing = await runOnce(name, server, jobOf(server, round), each);
      if (round >= warmUps) standings.get(name)?.push(standing);
      say(`  ${name}, round ${round}: ${formatStanding(standing)}`);
    }
  }
  return new Map([...standings].map(([name, of]) => [name, medianOf(of)]));
}

/** Latencies and costs of a standing, in words. */
export function formatStanding({ perSecond, p50Ms, p99Ms, servingUs, allUs, clientUs }: Standing): string {
  // A program that serves from many threads has no serving thread to speak of.
  const serving = servingUs < 1 ? "" : `${servingUs.toFixed(0)} us serving thread, `;
  const cost = `${serving}${allUs.toFixed(0)} us all threads, ${clientUs.toFixed(0)} us the load`;
  return `${Math.round(perSecond).toLocaleString("en-US")}/s, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${cost}`;
}

async function runOnce(name: string, server: Server, job: LoadJob, each: number): Promise<Standing> {
  const before = await processorTimeOf(server.pid);
  const result = await load(job);
  const after = await processorTimeOf(server.pid);
  if (result.faults > 0) throw new Error(`${name} refused: ${result.firstFault?.slice(0, 300)}`);
  const operations = result.requests * each;
  return {
    perSecond: rateOf(result) * each,
    p50Ms: quantile(result.latencies, 0.5),
    p99Ms: quantile(result.latencies, 0.99),
    servingUs: ((after.serving - before.serving) * 1e6) / operations,
    allUs: ((after.all - before.all) * 1e6) / operations,
    clientUs: result.processorUs / operations,
  };
}

function medianOf(standings: readonly Standing[]): Standing {
  const of = (name: keyof Standing): number => median(standings.map((standing) => standing[name]));
  return {
    perSecond: of("perSecond"),
    p50Ms: of("p50Ms"),
    p99Ms: of("p99Ms"),
    servingUs: of("servingUs"),
    allUs: of("allUs"),
    clientUs: of("clientUs"),
  };
}
