/** How random a short text looks. */

/** Shannon entropy of the characters, in bits for each character. */
export function entropyBits(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

/** True for what stands where a secret goes in documentation: words, stars, one letter over and over. */
export function isPlaceholder(text: string): boolean {
  return (
    /example|placeholder|your[-_]|redacted|changeme|dummy|xxxx|\.\.\.|\*\*\*|<[^>]{0,64}>|\$\{/iu.test(text) ||
    new Set(text).size < 6
  );
}
