/**
 * Rules of the operator: `*.rules.json` files of the policy bundle, `{"rules": [{"id", "pattern", "severity"}]}`. Patterns are RE2's,
 * so that no pattern and no text takes more than linear time. The one file that knows re2js.
 */

import { RE2JS } from "re2js";
import { FormatError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { type FindingCode, isFindingCode } from "../../kernel/receipt/findings.ts";
import { SEVERITIES, type Severity } from "../../kernel/receipt/vocabulary.ts";
import { array, literal, object, readShape, type Shape, string } from "../../kernel/shape.ts";
import { type Hit, NO_HITS } from "./hit.ts";

interface WrittenRule {
  readonly id: string;
  readonly pattern: string;
  readonly severity: Severity;
}

interface OwnRule {
  readonly rule: FindingCode;
  readonly severity: Severity;
  readonly pattern: RE2JS;
}

const MAX_RULES = 128;
const MAX_PATTERN = 1000;
/** A rule that matches everywhere tells no more after this. */
const MAX_HITS = 1000;

const fileShape: Shape<{ readonly rules: readonly WrittenRule[] }> = object<{ readonly rules: readonly WrittenRule[] }>(
  {
    rules: array(
      object<WrittenRule>({
        id: string({ pattern: /^[a-z0-9][a-z0-9_.-]{0,58}$/u, maxLength: 59, description: "a rule id" }),
        pattern: string({ maxLength: MAX_PATTERN }),
        severity: literal(...SEVERITIES),
      }),
      { min: 1, max: MAX_RULES },
    ),
  },
);

/**
 * Reads the rules of a bundle's files; each finds under `op.<id>`.
 *
 * @throws {FormatError} ERR_JSON_*, ERR_SHAPE, ERR_POLICY_BUNDLE for a pattern that RE2 does not take, one that matches nothing at
 *   all, and an id that stands twice
 */
export function readOwnRules(
  files: readonly { readonly path: string; readonly content: Uint8Array }[],
): (text: string) => readonly Hit[] {
  const rules = files.flatMap(({ path, content }) =>
    readShape(fileShape, parseJson(content), path).rules.map((rule) => compile(path, rule)),
  );
  const twice = rules.find(({ rule }, index) => rules.findIndex((other) => other.rule === rule) !== index);
  if (twice !== undefined) throw refused(`the rule ${twice.rule} stands twice`);
  if (rules.length > MAX_RULES) throw refused(`want at most ${MAX_RULES} rules`);
  return rules.length === 0 ? () => NO_HITS : (text) => rules.flatMap((rule) => hitsOf(rule, text));
}

function compile(path: string, { id, pattern, severity }: WrittenRule): OwnRule {
  const rule = `op.${id}`;
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (cause) {
    throw new FormatError("ERR_POLICY_BUNDLE", `policy bundle: ${path}: the pattern of ${id} is none of RE2's`, {
      cause,
    });
  }
  if (!isFindingCode(rule)) throw refused(`${path}: want a rule id, got ${id}`);
  if (compiled.matches("")) throw refused(`${path}: the pattern of ${id} matches nothing at all`);
  return { rule, severity, pattern: compiled };
}

function hitsOf({ rule, severity, pattern }: OwnRule, text: string): readonly Hit[] {
  const matcher = pattern.matcher(text);
  const hits: Hit[] = [];
  while (hits.length < MAX_HITS && matcher.find()) {
    if (matcher.end() > matcher.start()) hits.push({ rule, severity, start: matcher.start(), end: matcher.end() });
  }
  return hits;
}

function refused(why: string): FormatError {
  return new FormatError("ERR_POLICY_BUNDLE", `policy bundle: ${why}`);
}
