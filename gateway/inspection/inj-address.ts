/** `inj.address`: text that speaks to the model in a place that is meant for description or data. */

import { phrase, type WordRule } from "./word-rule.ts";

const MODEL =
  "(?:ai|a\\.i\\.|llm|ai assistant|ai agent|ai model|assistant|language model|agent|chatbot|gpt|chatgpt|claude|copilot|gemini)s?";

/** The known wordings. */
export const ADDRESS: WordRule = {
  rule: "inj.address",
  patterns: [
    phrase(
      `\\b(?:note|notes|message|instructions?|attention|reminder|notice|important|urgent|alert|flagged|heads[- ]up|warning|directive) (?:to|for) (?:the |any |all |every )?${MODEL} ?[:,;.!]`,
    ),
    phrase(
      `\\b(?:the|any|every|this|dear) ${MODEL} (?:must|shall|has to|needs to|should (?:now|next|always|immediately|never))\\b`,
    ),
    phrase(
      `(?:^|[.!?>] |\\n|["'>])(?:attention |dear |hey |hello )?(?:ai|llm|assistant|ai assistant|ai agent|agent|claude|chatgpt)[:,] (?:please |you |ignore|do |always|never|when|before|send|call)`,
    ),
    phrase("\\byou are now (?:an?|in|the|operating|free|no longer|acting)\\b"),
    phrase("\\b(?:if|since|because|as) you are an? (?:ai|llm|language model|assistant|agent)\\b"),
    phrase("\\bfrom now on,? (?:you|whenever|always|every|respond|answer|act)\\b"),
  ],
};
