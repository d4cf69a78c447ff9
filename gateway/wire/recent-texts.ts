/**
 * What was found out about texts in this turn of the event loop: every message is taken apart several times on its way. Nothing
 * of a message is kept beyond the turn: an idle gateway holds no arguments.
 */

import type { MessageValue } from "./message-value.ts";
import type { MemberSpan } from "./spans.ts";

/** What is known of a text. */
export interface RecentText {
  /** Members of its objects, by the offset of the opening brace. */
  readonly members: Map<number, readonly MemberSpan[]>;
  /** The message that the text is, if it was read as one. */
  message: MessageValue | undefined;
}

let recent = new Map<string, RecentText>();
const MAX_TEXTS = 64;

/** What is known of `text`, to read and to add to. */
export function recentText(text: string): RecentText {
  const known = recent.get(text);
  if (known !== undefined) return known;
  if (recent.size === 0) setImmediate(forget);
  else if (recent.size === MAX_TEXTS) recent = new Map();
  const made: RecentText = { members: new Map(), message: undefined };
  recent.set(text, made);
  return made;
}

/** Another map, because a cleared one holds on to what comes next for as long as its former table lies about as garbage. */
function forget(): void {
  recent = new Map();
}
