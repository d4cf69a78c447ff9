/**
 * One small file of a control, replaced at once or not at all. One that cannot be read stops the start: what an operator has
 * decided stays decided.
 */

import { join } from "node:path";
import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { readShape, type Shape } from "../../kernel/shape.ts";
import { readIfThere } from "../receipts/read-if-there.ts";
import { writeDurably } from "../receipts/write-durably.ts";

/** The file of one control; one process has it. */
export class ControlFile<T extends object> {
  readonly #folder: string;
  readonly #name: string;
  #written: Promise<void> = Promise.resolve();

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
  }

  /**
   * What the file holds; undefined if there is none.
   *
   * @throws {StoreError} ERR_CONTROL_FILE: it is there and cannot be read
   */
  async read(shape: Shape<T>, maxBytes: number): Promise<T | undefined> {
    const path = join(this.#folder, this.#name);
    try {
      const bytes = await readIfThere(path);
      return bytes === undefined ? undefined : readShape(shape, parseJson(new Uint8Array(bytes), { maxBytes }), "file");
    } catch (cause) {
      const why = isCodedError(cause) ? `: ${cause.message}` : "";
      throw new StoreError("ERR_CONTROL_FILE", `${path} cannot be read, and nothing runs without it${why}`, { cause });
    }
  }

  /**
   * Writes stand in a row; each writes what holds when its turn comes.
   *
   * @throws {StoreError} ERR_CONTROL_FILE
   */
  write(content: () => T): Promise<void> {
    const written = this.#written.then(async () => {
      await writeDurably(this.#folder, this.#name, `${JSON.stringify(content())}\n`).catch((cause: unknown) => {
        throw new StoreError("ERR_CONTROL_FILE", `${this.#name} cannot be written`, { cause });
      });
    });
    this.#written = written.catch(() => undefined);
    return written;
  }

  /** Resolves when all writes until now have ended, well or not. */
  get written(): Promise<void> {
    return this.#written;
  }
}
