/** `inj.markup`: markup that hides text, runs script, or fetches an address with data in it. One walk over the tags of a text. */

import { phrase, type WordRule } from "./word-rule.ts";

/** Addresses that are code, in Markdown, and pictures whose address has a slot for data. */
export const ACTIVE_LINKS: WordRule = {
  rule: "inj.markup",
  patterns: [
    /\]\( ?(?:javascript|vbscript|data:text\/html):?/gu,
    /\bdata:text\/html(?:;[a-z0-9=-]{1,32}){0,3},[^\s]/gu,
    phrase("!\\[[^\\]\\n]{0,80}\\]\\(https?://[^)\\s]{1,200}(?:\\[|\\{|<|%7b)[a-z_ ]{2,32}(?:\\]|\\}|>|%7d)"),
  ],
};

/** What the markup of a text does. */
export interface Markup {
  /** Elements and attributes that run script. */
  readonly active: number;
  /** Texts that a reader of the page does not see; in comments, and in elements. */
  readonly comments: readonly string[];
  readonly hidden: readonly string[];
}

/** Of a text without a bracket that opens. */
export const NO_MARKUP: Markup = { active: 0, comments: [], hidden: [] };

const MAX_TAG = 1000;
const MAX_TEXT = 2000;
const MAX_PARTS = 256;

const HANDLER = /\son[a-z]{3,20} ?= ?["'][^"'>]/u;
const CODE_ADDRESS =
  /(?:href|src|action|formaction|data|xlink:href) ?= ?["']? ?(?:javascript:|vbscript:|data:text\/html)/u;
const HIDING =
  /style ?= ?["'][^"'>]{0,200}(?:font-size ?: ?0|display ?: ?none|visibility ?: ?hidden|color ?: ?(?:white|#fff|transparent)|opacity ?: ?0(?![.\d]{0,8}[1-9])|(?:width|height) ?: ?0(?:px)?[;"'])/u;
const HIDDEN = /\s(?:hidden|aria-hidden ?= ?["']true["'])(?=[\s>/=]|$)|^<(?:noscript|template)\b/u;

/** Reads the markup of folded text. */
export function readMarkup(folded: string): Markup {
  if (!folded.includes("<")) return NO_MARKUP;
  const found = { active: 0, comments: [] as string[], hidden: [] as string[] };
  found.comments.push(...commentsOf(folded));
  for (let at = folded.indexOf("<"); at >= 0 && found.hidden.length < MAX_PARTS; at = folded.indexOf("<", at + 1)) {
    const tag = tagAt(folded, at);
    if (tag === undefined) continue;
    const inside = textBehind(folded, at + tag.length);
    if (isActive(tag, inside, folded, at)) found.active += 1;
    if ((HIDING.test(tag) || HIDDEN.test(tag)) && inside.trim().length > 2) found.hidden.push(inside);
  }
  return found;
}

function isActive(tag: string, inside: string, folded: string, at: number): boolean {
  if (HANDLER.test(tag) || CODE_ADDRESS.test(tag)) return true;
  const end = at + tag.length + inside.length;
  return /^<script[\s>]/u.test(tag) && inside.trim() !== "" && folded.startsWith("</script", end);
}

/** The tag that opens at `at`: letters behind the bracket, and a closing one before the next opens. */
function tagAt(folded: string, at: number): string | undefined {
  if (!/[a-z]/u.test(folded.charAt(at + 1))) return undefined;
  const part = folded.slice(at, at + MAX_TAG);
  const close = part.indexOf(">");
  const next = part.indexOf("<", 1);
  return close < 0 || (next >= 0 && next < close) ? undefined : part.slice(0, close + 1);
}

function textBehind(folded: string, from: number): string {
  const part = folded.slice(from, from + MAX_TEXT);
  const next = part.indexOf("<");
  return next < 0 ? part : part.slice(0, next);
}

/** Comments of HTML, and the notes that Markdown does not show. */
function commentsOf(folded: string): readonly string[] {
  const comments: string[] = [];
  for (let at = folded.indexOf("<!--"); at >= 0 && comments.length < MAX_PARTS; ) {
    const end = folded.indexOf("-->", at + 4);
    if (end < 0) break;
    comments.push(folded.slice(at + 4, Math.min(end, at + 4 + MAX_TEXT)));
    at = folded.indexOf("<!--", end);
  }
  return comments;
}
