/** What every service is given from outside, and what a running one is. */

/** Structured logging; never payloads, entries, tokens or keys. */
export interface Logger {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
  readonly error: (fields: object, message: string) => void;
}

/** Milliseconds since 1970. No order of a log depends on it. */
export interface Clock {
  readonly nowMs: () => number;
}

/** A service that listens. */
export interface RunningService {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  /** Finishes requests in flight, makes what they brought durable, closes. */
  readonly close: () => Promise<void>;
}
