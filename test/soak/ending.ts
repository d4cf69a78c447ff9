/** The end of a soak: sessions are sealed, the outbox drains, and the newest part of the stream is exported and verified. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OBLIGATION_IDS } from "../../kernel/obligation.ts";
import { runCommandLine } from "../support/command.ts";
import type { RunningTopology } from "../support/topology.ts";

/** The gateway when everything of it was proven. */
export interface Drained {
  readonly stream: string;
  readonly nextSeq: number;
  readonly policy: string;
  readonly catalog: string;
  readonly seconds: number;
  readonly faults: readonly string[];
}

interface Status {
  readonly stream: string;
  readonly next_seq: number;
  readonly policy: { readonly digest: string };
  readonly catalog: { readonly digest: string };
  readonly outbox: { readonly pending: number; readonly proven: number; readonly fault?: string };
  readonly open_calls: number;
}

/** However many receipts wait, some must be proven within this time. */
const SILENCE_MS = 120_000;
const POLL_MS = 200;
const WINDOW = 5_000;
const COMMAND_MS = 300_000;
/** A window cuts sessions, and what a server that hung did with a call is not known: what is honestly open is not required. */
const NOT_REQUIRED: ReadonlySet<string> = new Set([
  "mode.allowed",
  "attestation.hardware",
  "session.sealed",
  "call.outcome",
]);

/** Seals the sessions and waits until the outbox is empty. */
export async function drain(topology: RunningTopology): Promise<Drained> {
  const started = performance.now();
  await ask(topology, "POST", "/sessions/seal");
  let status = await ask(topology, "GET", "/status");
  let [deadline, proven] = [performance.now() + SILENCE_MS, status.outbox.proven];
  while (!isDrained(status) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    status = await ask(topology, "GET", "/status");
    if (status.outbox.proven > proven) [deadline, proven] = [performance.now() + SILENCE_MS, status.outbox.proven];
  }
  const { stream, next_seq: nextSeq, outbox, open_calls: open } = status;
  const faults = isDrained(status) ? [] : [`${open} calls are open, outbox ${JSON.stringify(outbox)}`];
  const seconds = Math.round((performance.now() - started) / 1000);
  return { stream, nextSeq, policy: status.policy.digest, catalog: status.catalog.digest, seconds, faults };
}

function isDrained({ open_calls: open, outbox }: Status): boolean {
  return open === 0 && outbox.pending === 0 && outbox.fault === undefined;
}

async function ask(topology: RunningTopology, method: "GET" | "POST", path: string): Promise<Status> {
  const headers = { authorization: `Bearer ${topology.token("operator")}` };
  const signal = AbortSignal.timeout(COMMAND_MS);
  const answer = await fetch(`${topology.operatorUrl}${path}`, { method, headers, signal });
  if (!answer.ok) throw new Error(`${method} ${path}: status ${answer.status}`);
  const status: Status = JSON.parse(await answer.text());
  return status;
}

/** Exports the newest receipts and verifies them as an auditor does. @returns what is wrong */
export function verifyWindow(topology: RunningTopology, drained: Drained): readonly string[] {
  const { folder } = topology;
  const [bundle, trust] = [join(folder, "soak.bundle"), join(folder, "soak-trust.json")];
  writeFileSync(trust, JSON.stringify(trustPolicy(folder, drained)));
  const { nextSeq, stream } = drained;
  const made = runCommandLine(
    [
      ...["bundle", "--ledger", topology.url("ledger"), "--token-file", join(folder, "tokens", "read")],
      ...["--witness-policy", join(folder, "witness-policy.txt"), "--policy", join(folder, "policy")],
      ...["--stream", stream, "--from", String(Math.max(0, nextSeq - WINDOW)), "--to", String(nextSeq - 1)],
      ...["--out", bundle],
    ],
    COMMAND_MS,
  );
  if (made.status !== 0) return [`bundle: exit ${made.status}: ${made.err}`];
  const verified = runCommandLine(["verify", bundle, "--trust", trust], COMMAND_MS);
  const isRight = verified.status === 0 && !/ fail /u.test(verified.out);
  return isRight ? [] : [`verify: exit ${verified.status}`, ...lastLines(verified.out + verified.err)];
}

function trustPolicy(folder: string, { stream, policy, catalog }: Drained): object {
  return {
    kind: "trust-policy",
    v: 1,
    logs: [readFileSync(join(folder, "witness-policy.txt"), "utf8")],
    gateways: [{ stream, label: "gateway of the soak" }],
    policies: [policy],
    catalogs: [catalog],
    modes: ["enforcing"],
    require: OBLIGATION_IDS.filter((id) => !NOT_REQUIRED.has(id)),
  };
}

function lastLines(text: string): readonly string[] {
  return text.trim().split("\n").slice(-30);
}
