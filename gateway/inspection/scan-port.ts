/**
 * The scan port: one question about a definition, a text, arguments or a name, one answer (docs/inspection.md). What
 * `countersign scan` and the vectors ask; the same code as in the gateway.
 */

import type { JsonValue } from "../../kernel/json/value.ts";
import type { Severity } from "../../kernel/receipt/vocabulary.ts";
import { scanDefinition } from "./definition-scan.ts";
import { worse } from "./hit.ts";
import type { Count, Surface } from "./injection.ts";
import { looksLike } from "./look-alike.ts";
import { checkName } from "./name-rules.ts";
import { keyOf, leavesOf, namesOf } from "./strings.ts";
import { type FindContext, findInText } from "./text-findings.ts";

/** A finding on the port; `start` and `end` (UTF-16 code units) where the rule knows its place in a text. */
export interface PortFinding extends Count {
  readonly path: string;
  readonly start?: number;
  readonly end?: number;
}

/** The highest severity of the findings; `pass` if there are none, or only `info`. */
export type Verdict = "pass" | "warn" | "block";

/** An answer of the port. */
export interface PortAnswer {
  readonly verdict: Verdict;
  readonly findings: readonly PortFinding[];
}

/** What every text of an answer is looked at with. */
export type PortOptions = Pick<FindContext, "phoneRegion" | "ownRules" | "steering">;

/** A tool's definition. @throws {FormatError} ERR_SHAPE, ERR_JSON_SYNTAX */
export function scanTool(definition: JsonValue, options: PortOptions = {}): PortAnswer {
  const findings = scanDefinition("tool", JSON.stringify(definition), options);
  return answerOf(findings.map(({ pointer, ...count }) => ({ ...count, path: pointer })));
}

/** A text that a tool returns. */
export function scanText(text: string, options: PortOptions = {}): PortAnswer {
  return answerOf(textFindings(text, "", { ...options, surface: "result" }));
}

/** Any JSON that goes in a direction: arguments, a result, a resource. */
export function scanValue(
  value: JsonValue,
  surface: Exclude<Surface, "definition">,
  options: PortOptions = {},
): PortAnswer {
  const findings: PortFinding[] = [];
  for (const { path, value: leaf } of leavesOf(value)) {
    const key = keyOf(path);
    const context = { ...options, surface, ...(key === undefined ? {} : { key }) };
    findings.push(...textFindings(String(leaf), pointerText(path), context));
  }
  for (const path of namesOf(value, () => true))
    findings.push(...textFindings(path.at(-1) ?? "", pointerText(path), { ...options, surface }));
  return answerOf(findings);
}

/** A name against the approved ones. */
export function scanName(name: string, approved: readonly string[]): PortAnswer {
  const own = checkName(name).filter(({ rule }) => !isScoped(name) || rule !== "name.charset");
  const isAlike = approved.some((other) => looksLike(name, other));
  const alike: readonly Count[] = isAlike ? [{ rule: "name.look-alike", severity: "block", count: 1 }] : [];
  return answerOf([...own, ...alike].map((count) => ({ ...count, path: "" })));
}

function textFindings(text: string, path: string, context: FindContext): readonly PortFinding[] {
  const { hits, counts } = findInText(text, context);
  return [...hits.map((hit) => ({ ...hit, count: 1, path })), ...counts.map((count) => ({ ...count, path }))];
}

function answerOf(findings: readonly PortFinding[]): PortAnswer {
  const severity = findings.map((finding) => finding.severity).reduce<Severity>(worse, "info");
  return { verdict: severity === "info" ? "pass" : severity, findings };
}

/** A package with a scope has a slash and an at sign. */
function isScoped(name: string): boolean {
  return /^@[A-Za-z0-9._-]{1,64}\/[A-Za-z0-9._-]{1,128}$/u.test(name);
}

function pointerText(path: readonly string[]): string {
  return path.map((step) => `/${step.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
