/** Characters of texts, which are one or two UTF-16 code units. */

/** How many units the character at `at` has. */
export function widthAt(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}

/** Where the character begins that ends at `end`; 0 at the text's beginning. */
export function startOfCharacter(text: string, end: number): number {
  return end > 1 && widthAt(text, end - 2) === 2 ? end - 2 : Math.max(0, end - 1);
}
