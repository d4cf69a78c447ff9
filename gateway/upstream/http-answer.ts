/** What a server answers over HTTP, and how its body is read. */

import { Pieces } from "../wire/gathered-bytes.ts";

/** An answer, whose body may still be on its way. */
export interface HttpAnswer {
  readonly status: number;
  /** True for 200 to 299. */
  readonly ok: boolean;
  /** @param name  in lower case */
  readonly header: (name: string) => string | undefined;
  /** The next chunk of the body, undefined at its end; by one reader. Rejects if the body is cut off. */
  readonly read: () => Promise<Uint8Array | undefined>;
  /** Nobody reads any further. One that came whole leaves its connection to the next request. */
  readonly cancel: () => void;
}

/** The chunks of the body, as the bytes that they are. Whoever stops in the middle leaves no answer that goes on. */
export async function* chunksOf(answer: HttpAnswer): AsyncGenerator<Uint8Array, void> {
  try {
    for (let chunk = await answer.read(); chunk !== undefined; chunk = await answer.read()) yield chunk;
  } finally {
    answer.cancel();
  }
}

/**
 * The whole body; undefined if it is longer than `maxBytes`, and then the rest is not read.
 *
 * @param ear  told of each chunk
 */
export async function readWhole(
  answer: HttpAnswer,
  maxBytes: number,
  ear?: { readonly onByte: () => void },
): Promise<Uint8Array | undefined> {
  const pieces = new Pieces();
  for (let chunk = await answer.read(); chunk !== undefined; chunk = await answer.read()) {
    ear?.onByte();
    if (pieces.length + chunk.length > maxBytes) {
      answer.cancel();
      return undefined;
    }
    pieces.push(chunk);
  }
  return pieces.take();
}
