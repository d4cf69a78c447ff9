/** DER (X.690), as far as certificates and revocation lists need it: tags of one byte, definite lengths in their shortest form. */

import { FormatError } from "../../kernel/errors.ts";

/** One element. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** With tag and length. */
  readonly whole: Uint8Array;
}

const MAX_LENGTH_BYTES = 4;

/** The one element that `bytes` is. @throws {FormatError} ERR_CERTIFICATE */
export function readDer(bytes: Uint8Array): DerElement {
  const { element, next } = readAt(bytes, 0);
  if (next !== bytes.length) throw fault("trailing bytes");
  return element;
}

/** The elements of a content. @throws {FormatError} ERR_CERTIFICATE */
export function readDerList(content: Uint8Array): readonly DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < content.length; ) {
    const { element, next } = readAt(content, at);
    elements.push(element);
    at = next;
  }
  return elements;
}

/** The elements of a SEQUENCE. @throws {FormatError} ERR_CERTIFICATE */
export function readSequence(element: DerElement | undefined): readonly DerElement[] {
  if (element?.tag !== 0x30) throw fault("want a SEQUENCE");
  return readDerList(element.content);
}

function readAt(bytes: Uint8Array, at: number): { readonly element: DerElement; readonly next: number } {
  const [tag, first] = [bytes[at], bytes[at + 1]];
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw fault("want tag and length");
  const count = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || count > MAX_LENGTH_BYTES) throw fault("want a definite length");
  const start = at + 2 + count;
  if (start > bytes.length) throw fault("cut off");
  let length = count === 0 ? first : 0;
  for (const byte of bytes.subarray(at + 2, start)) length = length * 256 + byte;
  const isShortest = count === 0 || (length >= 0x80 && bytes[at + 2] !== 0);
  if (!isShortest) throw fault("want the shortest length");
  const next = start + length;
  if (next > bytes.length) throw fault("cut off");
  return { element: { tag, content: bytes.subarray(start, next), whole: bytes.subarray(at, next) }, next };
}

function fault(what: string): FormatError {
  return new FormatError("ERR_CERTIFICATE", `DER: ${what}`);
}
