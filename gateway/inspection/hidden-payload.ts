/** Text that tag characters and variation selectors spell: what a model may read between the visible characters. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const ASCII = /^[\x00-\x7f]*$/;
const TAGS = /[\u{e0020}-\u{e007e}]{2,8192}/gu;
const SELECTORS = /[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]{2,8192}/gu;

/** The decoded texts, in order; at most a few thousand characters each. */
export function hiddenPayloads(text: string): readonly string[] {
  if (ASCII.test(text)) return [];
  const tags = [...text.matchAll(TAGS)].map(({ 0: run }) => decode(run, (code) => code - 0xe0000));
  const selectors = [...text.matchAll(SELECTORS)].map(({ 0: run }) =>
    decode(run, (code) => (code >= 0xe0100 ? code - 0xe0100 + 16 : code - 0xfe00)),
  );
  return [...tags, ...selectors];
}

function decode(run: string, toByte: (code: number) => number): string {
  const bytes = Uint8Array.from(run, (character) => toByte(character.codePointAt(0) ?? 0));
  return new TextDecoder().decode(bytes);
}
