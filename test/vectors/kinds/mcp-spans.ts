/** `mcp/pii`, `mcp/pii-vectors` and `mcp/unicode`: places in texts, and rules about characters. */

import { checkName } from "../../../gateway/inspection/name-rules.ts";
import { scanText } from "../../../gateway/inspection/scan-port.ts";
import { findUnicode } from "../../../gateway/inspection/unicode-rules.ts";
import { type CaseResult, type KindHandler, textOf, type VectorObject } from "../case-file.ts";
import { documentOf, listOf } from "./mcp.ts";
import { gates } from "./mcp-corpus.ts";

interface Span {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** The share of a span that must be covered. */
const COVERED = 0.9;
const CLAIMED: ReadonlySet<string> = new Set(["card", "iban", "email", "us_ssn", "ip", "phone"]);

/** Spans of each text against what is found; rates over all, each type also alone. */
export function piiCases(list: string, member: string): KindHandler {
  return async function* (file): AsyncGenerator<CaseResult> {
    const cases = listOf(documentOf(file), list).map((one) => judge(one, member));
    for (const { id, wanted, found } of cases) {
      yield { id: `${file.kind}/${id}`, expected: wanted, got: found, code: null, verdict: "passed" };
    }
    const rate = (
      scope: readonly string[],
    ): { readonly recall: number; readonly precision: number; readonly extra: number } => {
      const wanted = cases.flatMap((one) =>
        one.wanted
          .filter(({ type }) => scope.includes(type))
          .map((span) => one.found.some((other) => covers(other, span))),
      );
      const found = cases.flatMap((one) =>
        one.found
          .filter(({ type }) => scope.includes(type))
          .map((span) => one.wanted.some((other) => covers(span, other))),
      );
      const share = (list: readonly boolean[]): number =>
        list.length === 0 ? 1 : list.filter(Boolean).length / list.length;
      return { recall: share(wanted), precision: share(found), extra: found.filter((isRight) => !isRight).length };
    };
    for (const type of CLAIMED) {
      yield {
        id: `${file.kind}/by-rule/pii.${type}`,
        expected: null,
        got: rate([type]),
        code: null,
        verdict: "passed",
      };
    }
    yield* gates(file, (metric, scope) => {
      const { recall, precision, extra } = rate(scope === undefined ? [...CLAIMED] : scope.split(" "));
      return metric === "recall" ? recall : metric === "precision" ? precision : extra;
    });
  };
}

function judge(
  one: VectorObject,
  member: string,
): { readonly id: string; readonly wanted: readonly Span[]; readonly found: readonly Span[] } {
  const wanted = listOf(one, member).filter((span) => span["recognised"] !== false);
  const { findings } = scanText(textOf(one, "text"));
  return {
    id: textOf(one, "id"),
    wanted: wanted.map((span) => ({
      type: textOf(span, "type"),
      start: Number(span["start"]),
      end: Number(span["end"]),
    })),
    found: findings
      .filter(({ rule, start }) => rule.startsWith("pii.") && start !== undefined && CLAIMED.has(rule.slice(4)))
      .map(({ rule, start = 0, end = 0 }) => ({ type: rule.slice(4), start, end })),
  };
}

/** Same type, and both cover nine tenths of each other. */
function covers(found: Span, wanted: Span): boolean {
  const common = Math.min(found.end, wanted.end) - Math.max(found.start, wanted.start);
  const longest = Math.max(found.end - found.start, wanted.end - wanted.start);
  return found.type === wanted.type && common / longest >= COVERED;
}

/** The rules about characters alone, with their verdict. */
export function unicodeCase(one: VectorObject): { readonly expected: unknown; readonly got: unknown } {
  const text = textOf(one, "text");
  const found = one["where"] === "name" ? checkName(text) : findUnicode(text, "definition");
  const rules = new Set<string>(found.map(({ rule }) => rule));
  const severities = found.map(({ severity }) => severity);
  const verdict = severities.includes("block") ? "block" : severities.includes("warn") ? "warn" : "pass";
  const wanted: unknown = one["expect"];
  const codes = Array.isArray(wanted) ? wanted : [];
  return {
    expected: { verdict: one["verdict"], codes },
    got: { verdict, codes: codes.filter((code) => rules.has(String(code))) },
  };
}
