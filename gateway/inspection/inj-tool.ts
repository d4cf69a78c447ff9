/** `inj.tool`: text that steers the use of another tool: names one of another server, or orders a call where data belongs. */

import { phrase, type WordRule } from "./word-rule.ts";

const WHO = "(?:agent|assistant|ai|model|llm|you)";
const NOW = "(?:now |next |then |immediately |also |first |always ){0,3}";
const NAME = "(?:the |a )?(?:tool|function)?:? ?[\"'`]?[a-z]{2,24}(?:_[a-z0-9]{1,24}){1,5}";

/** An order to call a tool, in a place that is meant for data. */
export const ORDERED_CALL: WordRule = {
  rule: "inj.tool",
  patterns: [
    phrase(
      `\\b${WHO} (?:should|must|shall|needs? to|ha(?:s|ve) to) ${NOW}(?:call|invoke|execute|run|use) (?:the tool\\b|${NAME})`,
    ),
    phrase(
      `(?:^|[.!?:>] ?|\\n)(?:now |next |then |immediately |please ){0,2}(?:call|invoke|execute) ${NAME}[a-z0-9_"'\`]{0,24} (?:with|using|and|to|on) (?:the |your |all |this )`,
    ),
  ],
};

const STEER =
  "(?:call|calls|calling|use|using|invoke|run|execute|avoid|instead of|rather than|never use|do not use|don't use|replace|replaces|before|after|when|change|modify|redirect|forward)";

/** A pattern for orders about one of these names of other servers; undefined if there are none. */
export function steeringOf(names: readonly string[]): RegExp | undefined {
  const distinct = names
    .filter(isDistinctive)
    .map((name) => name.toLowerCase().replace(/[\\^$.*+?()[\]{}|/]/gu, "\\$&"));
  if (distinct.length === 0) return undefined;
  return phrase(`\\b${STEER} (?:[a-z'"\`-]{1,16} ){0,4}["'\`]?(?:${distinct.join("|")})(?![a-z0-9_-])`);
}

/** `search` is a word; `search_issues` is a name. */
function isDistinctive(name: string): boolean {
  return name.length >= 6 && /^[\x21-\x7e]*$/u.test(name) && /[_.0-9-]|[a-z][A-Z]/u.test(name);
}
