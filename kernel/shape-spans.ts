/** Shapes that say where in a text their value stands. */

import type { TextCursor } from "./json/cursor.ts";
import type { JsonValue } from "./json/value.ts";
import type { TextWriter } from "./json/writer.ts";
import type { Shape } from "./shape.ts";
import { formatBy, takeBy } from "./shape-members.ts";

/** Remembers where the value stands, if it is taken from text or written. */
export function spanned<T>(shape: Shape<T>): Shape<T> {
  const take = (cursor: TextCursor): T => {
    const start = cursor.at;
    const value = takeBy(shape, cursor);
    cursor.spans.push([start, cursor.at]);
    return value;
  };
  const format = (value: JsonValue, out: TextWriter): void => {
    const start = out.text.length;
    formatBy(shape, value, out);
    out.spans.push([start, out.text.length]);
  };
  return { read: shape.read, take, format };
}

/** As `spanned`, where it is written alone: for what is left out of a text that is read whole. */
export function marked<T>(shape: Shape<T>): Shape<T> {
  const { read, take } = shape;
  const format = spanned(shape).format;
  return { read, ...(take === undefined ? {} : { take }), ...(format === undefined ? {} : { format }) };
}
