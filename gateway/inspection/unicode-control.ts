/** Control characters and the terminal sequences that they begin (ECMA-48; mcp-gateway §14.2). */

import type { Hit } from "./hit.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const SEQUENCE = /(?:\x1b[[\]P_^X]|[\x9b\x9d\x90\x9f\x9e\x98])/gu;
/** Select graphic rendition: colours and weight. Concealed text (8) is no colour. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const COLOUR = /(?:\x1b\[|\x9b)(?!(?:\d{1,3};){0,15}0{0,2}8[;m])[0-9;:]{0,64}m/gu;

/** Finds control characters and sequences. Where colours may pass they are `warn`, everything else is `block`. */
export function findControls(text: string, colours: "warn" | "block"): readonly Hit[] {
  if (text.search(CONTROL) < 0) return [];
  const coloured = [...text.matchAll(COLOUR)].map(({ index }) => index);
  const weightAt = new Set(coloured);
  const weigh = (start: number): "warn" | "block" => (colours === "warn" && weightAt.has(start) ? "warn" : "block");
  const controls = [...text.matchAll(CONTROL)].map(
    ({ index }): Hit => ({ rule: "unicode.control", severity: weigh(index), start: index, end: index + 1 }),
  );
  const sequences = [...text.matchAll(SEQUENCE)].map(
    ({ 0: head, index }): Hit => ({
      rule: "unicode.ansi",
      severity: weigh(index),
      start: index,
      end: index + head.length,
    }),
  );
  return [...controls, ...sequences];
}
