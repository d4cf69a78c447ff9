/** What some files of certificates and keys say, and say when they are read again. What cannot be used changes nothing. */

import { parseUtf8 } from "../../kernel/bytes.ts";
import { errorCode } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/service/service.ts";

/** Which files they are, and what is made of them. */
export interface CertificateFilesOptions<T> {
  /** An undefined one stands for the empty text. */
  readonly paths: readonly (string | undefined)[];
  readonly readFile: (path: string) => Uint8Array;
  /** Throws if the texts cannot be used together. */
  readonly parse: (texts: readonly string[]) => T;
}

/** Mutable. */
export class CertificateFiles<T> {
  readonly #options: CertificateFilesOptions<T>;
  #texts: readonly string[];
  #current: T;

  /** @throws what reading and parsing throw; {FormatError} ERR_UTF8 */
  constructor(options: CertificateFilesOptions<T>) {
    this.#options = options;
    this.#texts = this.#read();
    this.#current = options.parse(this.#texts);
  }

  /** Of the newest files that could be used. */
  get current(): T {
    return this.#current;
  }

  /** Reads them again. @returns whether they say something else @throws as the constructor; `current` stays then */
  refresh(): boolean {
    const texts = this.#read();
    if (texts.every((text, place) => text === this.#texts[place])) return false;
    this.#current = this.#options.parse(texts);
    this.#texts = texts;
    return true;
  }

  #read(): readonly string[] {
    const { paths, readFile } = this.#options;
    return paths.map((path) => (path === undefined ? "" : parseUtf8(readFile(path))));
  }
}

/** Takes files that somebody renews: if they cannot be used, that is told, and what they said before stays. */
export function takeRenewed(logger: Logger, fault: string, take: () => void): void {
  try {
    take();
  } catch (error) {
    logger.error({ code: errorCode(error) }, fault);
  }
}
