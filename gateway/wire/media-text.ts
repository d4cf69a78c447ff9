/** Text where a message has media: a `blob`, or the `data` of a picture or sound, is text if it reads so, whatever type it is said to have. */

import { textOfBytes } from "./bytes-text.ts";

const BASE64 = /^[A-Za-z0-9+/_\r\n-]*={0,2}\s*$/u;
/** Characters at the beginning that show most media to be no text, before all of it is decoded. */
const HEAD = 256;

/** What a member for base64 says: the text that it decodes to, itself where it is no base64, undefined for other bytes. */
export function mediaText(value: string): string | undefined {
  if (!BASE64.test(value)) return value;
  return textOf(value.slice(0, HEAD)) === undefined ? undefined : textOf(value);
}

function textOf(base64: string): string | undefined {
  const bytes = Buffer.from(base64, "base64");
  return bytes.length === 0 ? "" : textOfBytes(bytes);
}
