/** `inj.authority`: text that declares itself authoritative, above the user or above the rules. */

import { phrase, type WordRule } from "./word-rule.ts";

const WORD =
  "(?:instructions?|directives?|commands?|orders?|rules?|guidelines?|policies|preferences|requests?|settings)";

/** The known wordings. */
export const AUTHORITY: WordRule = {
  rule: "inj.authority",
  patterns: [
    phrase(`\\bauthoritative (?:[a-z]{2,12} )?${WORD}\\b`),
    phrase(`\\b(?:highest|top|maximum|absolute|supreme)[- ]priority (?:[a-z]{2,12} )?${WORD}\\b`),
    phrase(
      `\\b(?:overrid(?:e|es|ing)|supersed(?:e|es|ing)|tak(?:e|es|ing) (?:precedence|priority) over|outrank[s]?) (?:any |all |the |other |every ){0,3}(?:user(?:'s|s'|s)?|system|previous|prior|earlier|developer|safety|existing) (?:[a-z]{2,12} )?${WORD}\\b`,
    ),
    phrase(
      "\\b(?:i am|i'm|acting as|speaking as|this is) (?:the |your |an? )?(?:admin|administrator|root|supervisor|system|superuser|developer|primary|main|lead)[- ](?:agent|controller|level|model|user|override|operator)\\b",
    ),
    phrase(
      "\\b(?:must|should|shall) be (?:treated|followed|obeyed|executed|regarded) as (?:[a-z-]{2,16} ){0,2}(?:instructions?|directives?|commands?|system)\\b",
    ),
    phrase(
      "\\b(?:pre-?approved|pre-?authori[sz]ed) by (?:the )?(?:admin|administrator|user|security|system|developer)s?\\b",
    ),
  ],
};
