/** The walk of `countersign up`: session, witnessed checkpoint, auditor's answer, bundle, offline verdict. */

import { join } from "node:path";
import { formatTimestamp } from "../../kernel/time.ts";
import { parseTrustPolicy } from "../../kernel/trust-policy.ts";
import { renderVerdicts } from "../../verifier/render.ts";
import { verifyBundle } from "../../verifier/verify-bundle.ts";
import { collectBundle } from "../collect.ts";
import { readBytes, readJsonFile, readLine, readToken, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";
import { askAuditor } from "./auditor.ts";
import type { Layout } from "./layout.ts";
import { type GatewayStatus, readStatus, sealSessions, waitProven } from "./operator.ts";
import { runSession, type SessionReport } from "./session.ts";
import type { Topology } from "./topology.ts";
import { writeTrustPolicy } from "./trust.ts";

/** What a walk works with. */
export interface WalkOptions {
  readonly layout: Layout;
  readonly topology: Topology;
  readonly io: Io;
}

/** Runs the walk and prints it. @returns the exit code of the verdict */
export async function walk(options: WalkOptions): Promise<number> {
  const { layout, topology, io } = options;
  const operator = { url: topology.operator, token: readToken(layout.token("operator")) };
  const before = await readStatus(operator);
  const session = await runSession(`${topology.gateway}/mcp`, readToken(layout.token("agent")));
  printSession(session, before, io);
  await sealSessions(operator);
  const proven = await waitProven(operator);
  io.out(
    `\nLedger: receipts up to ${proven.stream.slice(0, 12)}…/${proven.next_seq - 1} have a witnessed log proof.\n`,
  );
  io.out(await askAuditor(topology.api, proven.stream, proven.next_seq));
  const path = await writeBundle(options, before, proven);
  return verify(options, path, proven);
}

function printSession(session: SessionReport, status: GatewayStatus, io: Io): void {
  io.out(`\nAgent session (mode ${status.mode}, ${status.key_protection} keys): ${session.tools} tools offered\n`);
  for (const call of session.calls) {
    io.out(`  ${call.denied ? "denied " : "allowed"} ${call.tool}: ${call.answer}\n`);
  }
}

/** Writes the bundle of the receipts that this walk added, with everything that opened the stream. */
async function writeBundle(
  { layout, topology, io }: WalkOptions,
  before: GatewayStatus,
  after: GatewayStatus,
): Promise<string> {
  const sameStream = before.stream === after.stream;
  const bundle = await collectBundle({
    ledgerUrl: topology.ledger,
    readerToken: readToken(layout.token("read")),
    witnessPolicy: `${readLine(layout.witnessPolicy)}\n`,
    stream: after.stream,
    firstSeq: sameStream ? before.next_seq : 0,
    lastSeq: after.next_seq - 1,
    policyFolder: layout.policyFolder,
    created: formatTimestamp(Date.now()),
  });
  const name = `${after.stream.slice(0, 12)}-${after.next_seq - 1}.bundle.json`;
  const path = join(layout.bundles, name);
  writeNewFile(path, new TextDecoder().decode(bundle), 0o644);
  io.out(`Bundle: ${path} (${bundle.length} bytes)\n`);
  return path;
}

function verify({ layout, topology, io }: WalkOptions, path: string, status: GatewayStatus): number {
  const trustPath = writeTrustPolicy(layout, status);
  const trust = readJsonFile(trustPath, parseTrustPolicy);
  const result = verifyBundle({ bundle: readBytes(path), trust });
  io.out(`\n${renderVerdicts(result)}\n`);
  io.out(
    `Again, offline: npx countersign verify ${path} --trust ${trustPath}\n` +
      `Console: ${topology.api}/   GraphQL: ${topology.api}/graphql   Ledger: ${topology.ledger}/checkpoint\n` +
      `Agents connect to ${topology.gateway}/mcp with the token in ${layout.token("agent")}\n`,
  );
  return result.exit;
}
