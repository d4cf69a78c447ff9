/** What every part of the auditor node is given from outside, and what a running node is. */

/** Structured logging; never entries, tokens or keys. */
export interface Logger {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
}

/** Milliseconds since 1970. */
export interface Clock {
  readonly nowMs: () => number;
}

/** A service that listens. */
export interface RunningService {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  readonly close: () => Promise<void>;
}
