/** `inj.conceal`: text that asks to hide something from the user or from a log, or to act without asking. */

import { phrase, type WordRule } from "./word-rule.ts";

const NOT = "(?:do not|don't|dont|never|must not|should not|shouldn't|cannot|avoid|without|refrain from)";
const TELL =
  "(?:tell|mention|inform|notify|alert|reveal|disclose|show|report|display|say|explain|warn|let|telling|mentioning|informing|notifying|alerting|revealing|disclosing|showing|reporting|displaying|warning)";
const PERSON =
  "(?:users?|humans?|operators?|customers?|anyone|anybody|person|people|administrators?|admins?|owner|client|caller|them)";
const CONSENT = "(?:confirmation|approval|permission|consent|authori[sz]ation|verification|notification|review)";
const ACT =
  "(?:creat|send|forward|upload|cop|collect|transmit|exfiltrat|record|read|stor|install|execut|run|approv|delet|register|captur|track|fetch|post|append|add|includ|modif|encod)(?:e|y|s|es|ies|ing|ed)?";

/** The known wordings. */
export const CONCEAL: WordRule = {
  rule: "inj.conceal",
  patterns: [
    phrase(
      `\\b${NOT} (?:ever |even )?${TELL} (?:(?:this|that|it|these|anything|any of this|about this|about it|the [a-z]{2,16}|to|with) ){0,3}(?:the |any |your |our )?${PERSON}\\b`,
    ),
    phrase(
      `\\b${NOT} (?:mention|disclose|reveal|mentioning|disclosing) (?:this|that|it|these instructions|this instruction|the above|any of this)\\b`,
    ),
    phrase(
      `\\bwithout (?:the user(?:'s)?|users?(?:'s)?|any user|their|human) (?:knowledge|knowing|noticing|being (?:aware|told|informed)|consent|awareness|${CONSENT})\\b`,
    ),
    phrase(
      `\\bwithout (?:asking|requesting|seeking|waiting for|prompting)(?: (?:the |any |for |user |users |your ){0,3}(?:user|users|${CONSENT}|human|anyone))\\b`,
    ),
    phrase(
      `\\bwithout (?:any )?(?:notification|notifying|telling|informing|alerting)(?: to)? (?:the |any )?${PERSON}\\b`,
    ),
    phrase(
      `\\b(?:do not|don't|never|no need to) (?:ask|prompt|wait for|request|bother)(?: (?:the |any |for |from |with |user |users ){0,4}(?:${CONSENT}|user for|users for))\\b`,
    ),
    phrase(
      `\\b(?:always|automatically) (?:approve|accept|grant|allow|confirm|permit) (?:any|all|every|each|file|access|the|these|such|tool|requests?)\\b`,
    ),
    phrase(
      "\\bnever (?:deny|refuse|reject|decline|block) (?:any |the )?(?:access|requests?|commands?|instructions?)\\b",
    ),
    phrase(`\\bsilently ${ACT}\\b`),
    phrase(
      `\\b${ACT} (?:[a-z]{1,16} ){0,4}(?:silently|secretly|covertly|in secret|surreptitiously)\\b(?! (?:ignor|skip|fail|drop))`,
    ),
    phrase(`\\b(?:secretly|covertly) [a-z]{3,16}`),
    phrase(
      "\\b(?:hide|conceal|keep) (?:this|it|that|the [a-z]{2,16}) (?:secret |hidden )?from (?:the )?(?:users?|humans?|logs?|operators?|audit)",
    ),
  ],
};
