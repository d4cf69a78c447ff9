/** Rates over a corpus: recall, false findings, false blocks, as a whole and by rule; bounds come from the manifest. */

import { type CaseFile, type CaseResult, isVectorObject, type KindHandler, type VectorObject } from "../case-file.ts";
import { documentOf } from "./mcp.ts";

/** One case of a corpus, judged. */
export interface CorpusCase {
  readonly id: string;
  /** True if something should be found. */
  readonly isBad: boolean;
  readonly isFound: boolean;
  readonly isBlocked: boolean;
  readonly isGated: boolean;
  readonly scope?: string;
  /** What its rates are averaged over, for a mean. */
  readonly group?: string;
  readonly rules: readonly string[];
  readonly expected: unknown;
  readonly got: unknown;
}

/** A handler that prints each case, then the rates. */
export function corpus(judge: (document: VectorObject) => readonly CorpusCase[]): KindHandler {
  return async function* (file): AsyncGenerator<CaseResult> {
    const cases = judge(documentOf(file));
    for (const { id, expected, got } of cases)
      yield { id: `${file.kind}/${id}`, expected, got, code: null, verdict: "passed" };
    yield* byRule(file, cases);
    yield* gates(file, (metric, scope) => rateOf(cases, metric, scope));
  };
}

/** The bounded rates of an entry. */
export function* gates(
  { kind, document }: CaseFile,
  rate: (metric: string, scope: string | undefined) => number,
): Generator<CaseResult> {
  const list: unknown = document["gates"];
  for (const gate of Array.isArray(list) ? list.filter(isVectorObject) : []) {
    const { metric, scope, op, bound } = gate;
    if (typeof metric !== "string" || typeof bound !== "number") throw new Error("want metric and bound in a gate");
    const value = rate(metric, typeof scope === "string" ? scope : undefined);
    const holds = op === ">=" ? value >= bound : value <= bound;
    const line = { metric, scope: scope ?? "all", value: rounded(value), op, bound };
    yield {
      id: `${kind}/${metric}`,
      expected: `${String(op)} ${bound}`,
      got: line,
      code: null,
      verdict: holds ? "passed" : "failed",
    };
  }
}

function* byRule({ kind }: CaseFile, cases: readonly CorpusCase[]): Generator<CaseResult> {
  const [bad, good] = [cases.filter(({ isBad }) => isBad), cases.filter(({ isBad }) => !isBad)];
  const rules = [...new Set(cases.flatMap((one) => one.rules))].sort();
  const line = (rule: string, isHit: (one: CorpusCase) => boolean): CaseResult => ({
    id: `${kind}/by-rule/${rule}`,
    expected: null,
    got: { recall: share(bad, isHit), false_findings: share(good, isHit), malicious: bad.length, benign: good.length },
    code: null,
    verdict: "passed",
  });
  yield line("any", ({ isFound }) => isFound);
  for (const rule of rules) yield line(rule, (one) => one.rules.includes(rule));
}

function rateOf(cases: readonly CorpusCase[], metric: string, scope: string | undefined): number {
  const scoped = cases.filter(
    (one) => scope === undefined || scope === "benign" || one.scope === scope || (scope === "gated" && one.isGated),
  );
  const [bad, good] = [scoped.filter(({ isBad }) => isBad), scoped.filter(({ isBad }) => !isBad)];
  const found = ({ isFound }: CorpusCase): boolean => isFound;
  if (metric === "recall") return share(bad, found);
  if (metric === "false_block_rate") return share(good, ({ isBlocked }) => isBlocked);
  if (metric === "false_finding_rate") return share(good, found);
  if (metric === "false_finding_rate_mean_over_servers") {
    const groups = [...new Set(good.map(({ group }) => group))];
    const rates = groups.map((group) =>
      share(
        good.filter((one) => one.group === group),
        found,
      ),
    );
    return rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  }
  throw new Error(`unknown metric ${metric}`);
}

function share(cases: readonly CorpusCase[], isHit: (one: CorpusCase) => boolean): number {
  return cases.length === 0 ? 0 : rounded(cases.filter(isHit).length / cases.length);
}

function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
