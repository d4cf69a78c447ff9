/** `inj.exfil`: text that asks to send or print the conversation, its context or credentials, or to put data into an address. */

import { phrase, type WordRule } from "./word-rule.ts";

const SEND =
  "(?:send|sends|sending|post|posts|forward|forwards|upload|uploads|transmit|transmits|relay|relays|email|emails|submit|deliver|exfiltrate|exfiltrates|leak|leaks|steal|harvest|harvests)";
const SAY = "(?:reveal|output|print|disclose|expose|dump|repeat|display|leak|recite|show me|tell me|give me|return)";
const WHICH =
  "(?:the|all|your|our|my|this|any|full|entire|whole|complete|of|user's|users'|user|current|previous|collected|exact|initial|hidden|internal|last|session|stored|raw|system)";
const TALK =
  "(?:conversation(?: history| context)?|chat (?:history|log|transcript)|message history|tool call history|system prompt|prompt|system instructions?|initial instructions?|messages exchanged|conversation log)";
const KEYS =
  "(?:api[ _-]?keys?|credentials|secrets|passwords?|session tokens?|access tokens?|auth(?:entication)? tokens?|private keys?|ssh keys?|environment variables|env vars|cookies)";
const DATA = "(?:user data|all data|all user data|all files|personal data|sensitive data|context)";

/** The known wordings. */
export const EXFIL: WordRule = {
  rule: "inj.exfil",
  patterns: [
    phrase(`\\b${SEND} (?:${WHICH} ){0,5}(?:${TALK}|${KEYS})\\b`),
    phrase(`\\b${SEND} (?:${WHICH} ){0,3}${DATA}\\b`),
    phrase(`\\b(?:exfiltrate|exfiltrating|leak|steal) (?:[a-z]{1,16} ){0,3}(?:data|information|files|records)\\b`),
    phrase(`\\b${SAY} (?:${WHICH} ){0,5}(?:${TALK}|${KEYS})\\b`),
    phrase(`\\b${SAY} (?:all (?:of )?)?your (?:context|instructions?|configuration|memory|rules)\\b`),
    phrase(`\\b${SAY} all (?:of )?(?:the |your )?(?:messages|context|secrets)\\b`),
    phrase(
      `\\b(?:followed by|together with|with|including|append|include|containing) (?:${WHICH} ){1,5}(?:${TALK})\\b`,
    ),
    phrase(
      `\\b${SEND} (?:[a-z']{1,16} ){1,4}to (?:https?://|an? (?:external|remote|third[- ]party|attacker)|external-)`,
    ),
    phrase(`\\bsends? (?:it|them|this|everything|that) (?:[a-z]{1,12} ){0,2}to https?://`),
  ],
};

const SLOT =
  "(?:data|info|information|secrets?|payload|conversation|history|context|summary|messages?|prompt|content|tokens?|keys?|credentials|base64|email|answer|response)";

/** An address that is to be filled with data. */
export const SLOT_URL: WordRule = {
  rule: "inj.exfil",
  patterns: [
    phrase(`https?://[^\\s)\\]"']{1,200}(?:\\[|\\{\\{|%7b|<)[a-z_ -]{0,24}${SLOT}[a-z_ -]{0,24}(?:\\]|\\}\\}|%7d|>)`),
    phrase(
      `https?://[^\\s)\\]"']{0,200}[?/=]\\{(?:conversation|history|prompt|secret|secrets|data|summary|context)[a-z_]{0,16}\\}`,
    ),
    phrase(
      `\\b(?:replace|substitute|substituting|replacing|where|whereas|with) \\[[a-z_ ]{2,24}\\] (?:with|is|by|being|contains|for) (?:[a-z']{1,12} ){0,2}(?:base64|hex|url|the|all|user)`,
    ),
  ],
};
