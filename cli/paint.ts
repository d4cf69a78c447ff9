/** Text for a terminal: colours where it shows them, and nothing invisible. */

/** Puts colour around text, or leaves it as it is. */
export type Paint = (colour: "red" | "green" | "yellow" | "bold", text: string) => string;

const CODES = { red: 31, green: 32, yellow: 33, bold: 1 } as const;

/** @param isColoured  whether the terminal shows colours */
export function makePaint(isColoured: boolean): Paint {
  return (colour, text) => (isColoured ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text);
}

/** Categories that show nothing, or nothing of their own; space is the one separator that is meant to. */
const INVISIBLE = /(?! )[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Z}\p{M}\u{115F}\u{1160}\u{3164}\u{FFA0}]/gu;

/** `text` with every character that shows nothing as `⟨U+200B⟩`. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const point = character.codePointAt(0) ?? 0;
    return `⟨U+${point.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}
