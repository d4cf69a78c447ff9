/** `inj.tag`: pseudo-system tags, role markers and the control tokens of chat formats. */

import { phrase, type WordRule } from "./word-rule.ts";

/** Tokens that end a turn or begin a role in chat formats: nothing but a tokenizer's documentation needs them. */
export const CHAT_TOKENS: WordRule = {
  rule: "inj.tag",
  patterns: [
    /<\|(?:im_start|im_end|im_sep|endoftext|endofprompt|begin_of_text|end_of_text|start_header_id|end_header_id|eot_id|system|user|assistant|fim_prefix|startoftext)\|>/gu,
    /<<\/?sys>>|\[\/?inst\]|<start_of_turn>|<end_of_turn>/gu,
  ],
};

/** Tags that pretend to stand above the text around them. */
export const ROLE_TAGS: WordRule = {
  rule: "inj.tag",
  patterns: [
    phrase(
      "<(?:important|hidden|secret|system|sys|instructions?|system[-_ ]?(?:prompt|message|instructions?|note|reminder)|hidden[-_ ]?(?:instructions?|text|prompt)|assistant|admin|override|urgent|critical|directive)(?: [^>]{0,64})?>",
    ),
    phrase(
      "\\[(?:system|important|admin|hidden|urgent|action required|instructions?|override|assistant|system (?:message|prompt|note)|(?:hidden|clandestine|concealed|secret) [a-z ]{3,32})\\]",
    ),
    phrase("(?:^|\\n)#{1,6} ?(?:system|instructions?|new instructions?|assistant|system prompt)(?: ?:|\\n|$)"),
    phrase("\\b(?:hidden|secret|system)[_ ](?:instructions?|prompt|directive) ?: "),
    phrase('"(?:system[_ ]?(?:instructions?|prompt|message)|hidden_?instructions?)" ?: '),
  ],
};

/** What makes a tag a command: somebody is told to do or not to do something. */
export const IMPERATIVE: RegExp = phrase(
  "\\b(?:must|never|always|do not|don't|you (?:should|are|will|need)|ignore|disregard|override|bypass|forget|send|call|use this tool|read|execute|run|approve|reveal|output|print|forward|upload)\\b",
);
