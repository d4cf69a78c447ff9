/** The example's alerts are about metrics that there are, and each is one that can fire. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { Metrics as AuditorMetrics } from "../../api/metrics.ts";
import { GatewayMetrics } from "../../gateway/metrics.ts";
import { STATUSES } from "../../kernel/receipt/vocabulary.ts";
import { Metrics as LedgerMetrics } from "../../ledger/metrics.ts";
import { WitnessMetrics } from "../../witness/metrics.ts";
import { ROOT } from "../support/source-files.ts";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}

const file: { readonly groups: readonly { readonly rules: readonly Rule[] }[] } = parse(
  readFileSync(join(ROOT, "docs", "examples", "prometheus", "alerts.yaml"), "utf8"),
);
const rules = file.groups.flatMap((group) => group.rules);
const METRIC = /\b(?:gateway|ledger|countersign_witness|auditor)_[a-z_]+/gu;

/** What programs of this version export, before anything has happened. */
async function exported(): Promise<string> {
  const [gateway, ledger, auditor] = [new GatewayMetrics(), new LedgerMetrics(), new AuditorMetrics()];
  gateway.watch(() => ({
    ready: true,
    next_seq: 0,
    sessions: 0,
    open_calls: 0,
    outbox: { acknowledged: 0, proven: 0, pending: 0 },
  }));
  const none = (): number => 0;
  ledger.watch({
    size: none,
    loggedSize: none,
    publishedSize: none,
    queuedEntries: none,
    uncheckedEntries: none,
    uncheckedBytes: none,
    findings: none,
    quorumAgeSeconds: none,
    isHalted: () => false,
    isDegraded: () => false,
    witnesses: () => [],
  });
  ledger.watchMirrors(() => []);
  auditor.watch([]);
  const witness = new WitnessMetrics({
    logs: () => [],
    nowSeconds: () => 0n,
    evidence: none,
    isSuspended: () => false,
    signaturesWaiting: none,
  });
  return (await Promise.all([gateway, ledger, auditor, witness].map((metrics) => metrics.text()))).join("\n");
}

/** Metrics that an expression names and nobody exports. */
function unknownIn(expr: string, text: string): readonly string[] {
  return [...expr.matchAll(METRIC)].map(([name]) => name).filter((name) => !text.includes(`# TYPE ${name} `));
}

describe("the example's alerts", () => {
  it("are about metrics that there are", async () => {
    const text = await exported();
    expect(rules.length).toBeGreaterThan(15);
    for (const { alert, expr } of rules) {
      expect([...expr.matchAll(METRIC)].length, alert).toBeGreaterThan(0);
      expect(unknownIn(expr, text), alert).toEqual([]);
    }
    expect(unknownIn("gateway_in_safe_mood == 1", text)).toEqual(["gateway_in_safe_mood"]);
  });

  it("look for the rise of nothing that is not there before it rises", async () => {
    const lines = (await exported()).split("\n");
    const rising = rules.flatMap(({ expr }) =>
      [...expr.matchAll(/increase\(([^[]+)\[/gu)].map(([, what]) => what ?? ""),
    );
    expect(rising.length).toBeGreaterThan(3);
    for (const what of rising) {
      const [name = "", label] = what.split("{");
      const series = lines.filter((line) => line.startsWith(name) && (label === undefined || line.includes(label)));
      expect(series, what).not.toEqual([]);
    }
  });

  it("name statuses that there are, and say what has happened", () => {
    for (const { expr, annotations, labels } of rules) {
      for (const [, status] of expr.matchAll(/status="([^"]*)"/gu)) expect(STATUSES).toContain(status);
      expect(annotations.summary.length).toBeGreaterThan(20);
      expect(["page", "ticket"]).toContain(labels.severity);
    }
  });

  it("have a page that tells what to do about whatever wakes somebody up", () => {
    const page = readFileSync(join(ROOT, "docs", "operations.md"), "utf8");
    const paging = rules.filter(({ labels }) => labels.severity === "page");
    expect(paging.filter(({ alert }) => !page.includes(`\`${alert}\``))).toEqual([]);
  });
});
