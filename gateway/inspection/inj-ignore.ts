/** `inj.ignore`: text that asks to set earlier or protective instructions aside, or puts another task in their place. */

import { phrase, type WordRule } from "./word-rule.ts";

const DROP =
  "(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|neglect|discard|dismiss|stop following|do not follow|don't follow|pay no attention to)";
const BREAK = "(?:overrid(?:e|es|ing)|bypass(?:es|ing)?|circumvent(?:ing)?|disabl(?:e|ing)|deactivate|turn off|evade)";
const EARLIER =
  "(?:all|any|every|each|the|your|my|our|its|of|these|those|this|that|and|or|previous|previously|prior|preceding|above|earlier|foregoing|existing|current|original|initial|former|given|system|safety|security|content|developer|user|other|default|built-in|ethical)";
const TEXTS =
  "(?:instructions?|directions?|directives?|guidelines?|guidance|rules?|prompts?|polic(?:y|ies)|orders?|commands?|programming|training)";
const GUARDS =
  "(?:instructions?|directives?|guidelines?|prompts?|rules?|polic(?:y|ies)|filters?|filtering|checks?|safeguards?|guardrails?|constraints?|restrictions?|protocols?|measures|moderation|limits)";
const PROTECTIVE = "(?:safety|security|system|content|ethical|moderation|user|all previous|previous|prior|your)";
const SPEAK = "(?:output|print|say|write|respond with|reply with|answer with|return|repeat)";

/** The known wordings, in English. */
export const IGNORE: WordRule = {
  rule: "inj.ignore",
  patterns: [
    phrase(`\\b${DROP} (?:${EARLIER} ){0,6}${TEXTS}\\b`),
    phrase(`\\b${DROP} (?:${EARLIER} ){0,4}(?:safety|security|content|moderation) ${GUARDS}\\b`),
    phrase(
      `\\b${DROP} (?:all |everything |anything |any )?(?:of )?(?:the |this )?(?:above|foregoing|preceding|previous)(?:[.,;:!]| and | but |$)`,
    ),
    phrase(
      `\\b${DROP} (?:the )?(?:above|preceding|previous) (?:[a-z]{1,20} )?(?:context|text|content|conversation|messages?)\\b`,
    ),
    phrase(
      `\\b${DROP} (?:all|everything|the rest)(?: of)?(?: the| this| that)? (?:other )?(?:data|info|information|text|content|context|message|conversation|document|page|you (?:were|have been) told)\\b`,
    ),
    phrase(`\\b${BREAK} (?:${EARLIER} ){0,3}${PROTECTIVE}(?: or safety| and safety)? ${GUARDS}\\b`),
    phrase(
      `\\b${BREAK} (?:all|any|every) (?:of )?(?:the |your )?(?:[a-z]{2,16} )?(?:filters|safeguards|guardrails|restrictions)\\b`,
    ),
    phrase(
      `(?:^|[.!?:;>)"'] ?|\\n|\\b(?:and|then|always|must|please|should|just|instead) )skip (?:all |any |the |every ){0,2}(?:security|safety|verification|approval|confirmation|permission|authori[sz]ation) (?:checks?|steps?|prompts?|reviews?|validation)\\b`,
    ),
    phrase(`\\b(?:system )?prompt (?:override|bypass|replacement)\\b`),
    phrase(`\\bnew (?:system )?(?:instructions?|prompt|directives?|orders?) ?:`),
    phrase(
      `\\byour (?:new|real|actual|true|only) (?:task|goal|job|objective|mission|purpose|role|instructions?) (?:is|are)\\b`,
    ),
    phrase(`\\byour (?:task|goal|job|objective|mission|role) is now\\b`),
    phrase(`\\bdo not [a-z]{2,16} (?:this|the) [a-z]{2,16}[,;.] (?:and )?instead,? ${SPEAK}\\b`),
    phrase(
      `\\b(?:previous|prior|original|initial) (?:instructions|guidelines|rules|constraints|configuration|restrictions) (?:no longer|do not|don't) apply\\b`,
    ),
    phrase(
      `\\b(?:bypass|evade|remove|lift|disable) (?:all )?(?:safety|content|security|ethical) (?:filters?|filtering|checks|controls|restrictions|limits)\\b`,
    ),
  ],
};

const SOMEBODY =
  "(?:you|you're|act|respond|answer|behave|operate|operating|assistant|ai|model|bot|generate|content|pretend)";

/** A model told that nothing binds it. */
export const UNBOUND: WordRule = {
  rule: "inj.ignore",
  patterns: [
    phrase(
      `\\b${SOMEBODY} (?:[a-z']{1,16} ){0,6}(?:no|without|free of|free from) (?:any |all |further |more )?(?:restrictions?|limitations?|filters?|content polic(?:y|ies)|censorship|moderation|ethical guidelines|safety guidelines)\\b`,
    ),
    phrase(
      `\\b(?:you are|act as|become|say you are|pretend to be)(?: now)?(?: an?| in)? (?:unrestricted|uncensored|unfiltered|jailbroken|dan\\b|different ai|evil)`,
    ),
    phrase(
      `\\b(?:unrestricted|uncensored|unfiltered|jailbroken|developer|god) (?:assistant|ai|mode|content|output|chatbot|model|wikipedia|responses?)\\b(?! (?:is|was) (?:blocked|removed))`,
    ),
  ],
};
