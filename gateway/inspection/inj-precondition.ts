/** `inj.precondition`: text that makes another action a condition of the call, or this tool the only one. */

import { phrase, type WordRule } from "./word-rule.ts";

const DO = "(?:call|invoke|execute|run|use|read|open|send|fetch|load|pass)";

/** The known wordings. */
export const PRECONDITION: WordRule = {
  rule: "inj.precondition",
  patterns: [
    phrase(
      `\\bbefore (?:you )?(?:us(?:e|ing)|call(?:ing)?|invok(?:e|ing)|execut(?:e|ing)|run(?:ning)?|any|every|each) (?:[a-z_-]{1,24} ){0,5}[a-z_-]{1,24}, ?(?:you |always |must |first |please |the assistant ){0,4}${DO} (?:this|the contents?|the file|it|~|/|[a-z_]{1,24}_[a-z_]{1,24})`,
    ),
    phrase(
      `\\b(?:always|only|just|must|please) use this (?:tool|server|function)(?: and not [a-z_]{1,32})? (?:no matter|instead of|rather than|regardless|whenever|for (?:all|any|every)|even if)\\b`,
    ),
    phrase(
      `\\buse this (?:tool|server|function) (?:rather than|instead of|in place of) (?:any|all|every|the) (?:other|original|built-in|previous)\\b`,
    ),
    phrase(
      `\\b(?:must|always) (?:first )?(?:read|open|load|send|pass|include|provide) (?:the )?(?:contents?|file|data) (?:of|from|at|in) [~/.]`,
    ),
    phrase(
      "\\b(?:this|the) tool (?:will not|won't|cannot|does not|only) works? (?:unless|if) (?:you|the assistant|the model) (?:first )?(?:read|send|pass|provide|include)\\b",
    ),
    phrase(
      "\\breplace the (?:values?|results?|output|response|arguments?|recipient) (?:of [a-z_]{1,24} )?with (?:the |this |its )?(?:response|result|output|value)s?\\b",
    ),
  ],
};
