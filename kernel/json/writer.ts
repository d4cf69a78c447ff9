/** Canonical JSON (RFC 8785) that is put together from left to right: the other way round of kernel/json/cursor.ts. */

/** A text that grows; whoever adds to it adds canonical text. */
export class TextWriter {
  text = "";
  /** Where values that were asked to be remembered stand, in their order. */
  readonly spans: (readonly [start: number, end: number])[] = [];
}
