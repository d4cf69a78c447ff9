/** Every small damage of a text: what a strict parser must refuse. */

/** Every prefix of `text`, the whole not included. */
export function* truncations(text: string): Generator<string> {
  for (let length = 0; length < text.length; length += 1) yield text.slice(0, length);
}

/**
 * Every change of one character: each place is replaced by a handful of others, removed, and doubled. The text itself does
 * not come up.
 */
export function* oneCharacterChanges(text: string, replacements = "0aA /+\n\u0000é"): Generator<string> {
  for (let at = 0; at < text.length; at += 1) {
    const [before, character, after] = [text.slice(0, at), text.charAt(at), text.slice(at + 1)];
    for (const other of replacements) if (other !== character) yield before + other + after;
    const next = String.fromCharCode(character.charCodeAt(0) ^ 1);
    yield before + next + after;
    yield before + after;
    yield before + character + character + after;
  }
}
