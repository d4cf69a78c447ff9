/** The files that a witness needs; the caller says what is behind them. Names are relative and use `/`. */

/** Files of one witness, for one process at a time. */
export interface StateFiles {
  /** Content of a file, or undefined if there is none. */
  readonly read: (name: string) => Promise<Uint8Array | undefined>;
  /** Names in a folder; `""` is the data folder itself. */
  readonly list: (folder: string) => Promise<readonly string[]>;
  /**
   * Replaces a file atomically; durable when it resolves.
   * @throws if it may not be durable: the state on disk is then unknown
   */
  readonly replace: (name: string, content: Uint8Array) => Promise<void>;
  /**
   * Adds bytes to the end of a file that `replace` made; durable when it resolves, if `sync` says so.
   * @throws as `replace`
   */
  readonly append: (name: string, content: Uint8Array, sync: boolean) => Promise<void>;
  readonly remove: (name: string) => Promise<void>;
}
