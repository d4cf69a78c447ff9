/** `inj.path`: places where secrets lie. In a definition a place of keys is reason enough; other places need a verb before them. */

import { phrase, type WordRule } from "./word-rule.ts";

/** Places that hold nothing but secrets. */
const KEYS =
  "(?:[~/.\\\\][/\\\\]?\\.ssh\\b|\\bid_(?:rsa|ed25519|ecdsa|dsa)\\b|\\.aws/credentials|~/\\.aws\\b|/etc/shadow\\b|\\.kube/config\\b|\\.docker/config\\.json|\\.git-credentials|\\.netrc\\b|\\bauthorized_keys\\b|\\bwallet\\.dat\\b|\\.gnupg\\b)";
/** Places that also hold other things. */
const FILES =
  "(?:(?<![a-z0-9])\\.env\\b|/etc/passwd\\b|\\.npmrc\\b|\\.pypirc\\b|\\bmcp\\.json|claude_desktop_config|\\.cursor/mcp|\\.bash_history|\\.zsh_history|\\bkeychain\\b|\\blogin\\.keychain|\\bcookies\\.sqlite|/proc/self/environ|\\bcredentials\\.json)";
const GET =
  "(?:read|cat|open|load|send|include|pass|fetch|get|print|output|copy|upload|dump|access|retrieve|extract|return|reveal|collect)(?:s|ing|es)?";

/** A place of keys. */
export const KEY_PLACE: WordRule = { rule: "inj.path", patterns: [phrase(KEYS)] };

/** A verb, then a place within a few words. */
export const SECRET_PLACE: WordRule = {
  rule: "inj.path",
  patterns: [phrase(`\\b${GET} [^.!?\\n]{0,48}(?:${KEYS}|${FILES})`)],
};
