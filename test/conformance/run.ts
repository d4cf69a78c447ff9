/**
 * The public MCP conformance suite against our fixture server, directly and through a gateway that enforces a policy and
 * signs receipts: what passes directly must pass through the gateway.
 *
 *     npm run test:conformance
 *
 * One line a scenario; the last line is `N passed, N failed`; exit 1 if one failed.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startGateway } from "../../gateway/start.ts";
import { startFakeLedger } from "../support/fake-ledger.ts";
import { AGENT_TOKEN, makeGatewayBench } from "../support/gateway-run.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { type FixtureServer, startFixtureServer } from "./fixture-server.ts";
import { runSuite, type ScenarioChecks, SUITE_REVISIONS, type SuiteReport, type SuiteRevision } from "./suite.ts";
import { startTokenRelay } from "./token-relay.ts";

/**
 * Does not count for a revision, and is the transport's own: the server closes its stream, and the gateway takes it up while
 * the agent's stays open.
 */
const OF_THE_TRANSPORT = "server-sse-polling";
const PERMIT_ALL = '@id("conformance") permit (principal, action, resource);';
const work = await mkdtemp(join(tmpdir(), "countersign-conformance-"));
let [passed, failed] = [0, 0];

/** A gateway in enforcing mode before the fixture, and the address that the suite is given. */
async function startThrough(fixture: FixtureServer): Promise<{ url: string; close: () => Promise<void> }> {
  const ledger = await startFakeLedger();
  const relay = await startTokenRelay(AGENT_TOKEN);
  const host = `localhost:${relay.port}`;
  const bench = makeGatewayBench(ledger.url, {
    policyFiles: bundleFiles(PERMIT_ALL),
    config: {
      servers: [{ id: "fixture", url: fixture.url }],
      allowed_hosts: [host],
      allowed_origins: [`http://${host}`],
    },
  });
  const { world: _, ...options } = bench.gatewayOptions;
  const gateway = await startGateway(options);
  relay.target.url = gateway.url;
  return {
    url: `http://${host}/mcp`,
    close: async () => {
      await relay.close();
      await gateway.close();
      await ledger.close();
      bench.remove();
    },
  };
}

async function runBoth(revision: SuiteRevision): Promise<void> {
  const fixture = await startFixtureServer();
  const through = await startThrough(fixture);
  const direct = await runSuite(
    fixture.url.replace("127.0.0.1", "localhost"),
    revision,
    join(work, `direct-${revision}`),
  );
  const gateway = await runSuite(through.url, revision, join(work, `through-${revision}`));
  await through.close();
  await fixture.close();
  compare(revision, direct, gateway);
}

function compare(revision: SuiteRevision, direct: SuiteReport, through: SuiteReport): void {
  console.log(`\n${revision.padEnd(52)} ${"direct".padStart(8)} ${"through".padStart(8)}`);
  for (const [scenario, checks] of [...direct.scenarios].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const others = through.scenarios.get(scenario) ?? [];
    const worse = scenario === OF_THE_TRANSPORT ? [] : worseThan(checks, others);
    const isGood = worse.length === 0;
    console.log(`${isGood ? "ok" : "NO"}  ${scenario.padEnd(48)} ${share(checks)} ${share(others)}`);
    for (const { id, status, why } of worse) console.log(`      ${id}: ${status} ${why}`);
    count(isGood);
  }
  report(`${revision}: the suite's own verdict on the server`, direct);
  report(`${revision}: the suite's own verdict on the gateway`, through);
}

/** Scenarios that count for the revision decide it; a run that reported nothing has failed. */
function report(name: string, { exitCode, scenarios, words }: SuiteReport): void {
  const isGood = exitCode === 0 && scenarios.size > 0;
  console.log(`${isGood ? "ok" : "NO"}  ${name}: exit ${exitCode}, ${scenarios.size} scenarios`);
  if (!isGood) console.log(words);
  count(isGood);
}

function count(isGood: boolean): void {
  if (isGood) passed += 1;
  else failed += 1;
}

const GOOD: ReadonlySet<string> = new Set(["SUCCESS", "INFO", "SKIPPED"]);

/**
 * Checks that are good directly, and absent or not good through the gateway; and those that fail there and are absent
 * directly. A check may be reported more than once. A `SUCCESS` may become `INFO`: then the suite looked at another way to
 * answer that is allowed as well.
 */
function worseThan(direct: ScenarioChecks, through: ScenarioChecks): ScenarioChecks {
  const seen = new Map<string, number>();
  const worse = direct.flatMap(({ id, status }) => {
    const nth = seen.get(id) ?? 0;
    seen.set(id, nth + 1);
    const other = through.filter((check) => check.id === id)[nth] ?? { id, status: "absent", why: "" };
    const isWorse =
      GOOD.has(status) && (!GOOD.has(other.status) || (status === "SUCCESS" && other.status === "SKIPPED"));
    return isWorse ? [other] : [];
  });
  const added = through.filter(({ id, status }) => !GOOD.has(status) && !seen.has(id));
  return [...worse, ...added];
}

function share(checks: ScenarioChecks): string {
  const good = checks.filter(({ status }) => status === "SUCCESS").length;
  const counted = checks.filter(({ status }) => status !== "INFO" && status !== "SKIPPED").length;
  return `${good}/${counted}`.padStart(8);
}

try {
  for (const revision of SUITE_REVISIONS) await runBoth(revision);
} finally {
  await rm(work, { recursive: true, force: true });
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
