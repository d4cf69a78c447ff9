/** Text where a message has media: a `blob`, or the `data` of a picture or sound, is text if it reads so, whatever type it is said to have. */

const BASE64 = /^[A-Za-z0-9+/_\r\n-]*={0,2}\s*$/u;
/** Characters at the beginning that show most media to be no text, before all of it is decoded. */
const HEAD = 256;
// biome-ignore lint/suspicious/noControlCharactersInRegex: bytes that no text is full of
const UNREADABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffd]/gu;

/** What a member for base64 says: the text that it decodes to, itself where it is no base64, undefined for other bytes. */
export function mediaText(value: string): string | undefined {
  if (!BASE64.test(value)) return value;
  return textOf(value.slice(0, HEAD)) === undefined ? undefined : textOf(value);
}

/** Bytes as text (UTF-8, or UTF-16 of ASCII), if nine tenths of them are some. */
function textOf(base64: string): string | undefined {
  const bytes = Buffer.from(base64, "base64");
  const text = bytes.toString(bytes[1] === 0 ? "utf16le" : "utf8");
  return text.length - text.replace(UNREADABLE, "").length <= text.length / 10 ? text : undefined;
}
