/**
 * Tells a receiver of approvals, signed as Standard Webhooks are: `webhook-id`, `webhook-timestamp`, and `webhook-signature`
 * with `v1,` and base64 of HMAC-SHA-256(secret, id ‖ "." ‖ timestamp ‖ "." ‖ body).
 *
 * Events go out one after another, in order. One that is not taken is tried again a few times, under the same id, so that a
 * receiver can tell it from a new one; then it is given up. Nothing here decides anything: an approval waits without it.
 */

import { hmacSha256 } from "#crypto";
import { formatBase64, parseBase64 } from "../../kernel/base64.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { FormatError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import type { World } from "../options.ts";

/** One thing that happened to an approval. */
export interface ApprovalEvent {
  /** The same for the same thing, also after a restart. */
  readonly id: string;
  readonly body: JsonObject;
  /** No use in telling it later than this. */
  readonly untilMs: number;
}

/** What a webhook works with. */
export interface WebhookOptions {
  readonly url: string;
  readonly secret: Uint8Array;
  readonly world: Pick<World, "fetch" | "nowMs" | "sleep">;
  /** Told of each event that is given up. */
  readonly onLost: (fields: { readonly id: string; readonly why: string }) => void;
}

/** Pauses before each further try, in milliseconds. */
const RETRY_MS = [1_000, 5_000, 30_000, 120_000];
const TIMEOUT_MS = 10_000;
const MAX_WAITING = 1_024;
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;

/** The secret of a file's line. @throws {FormatError} ERR_TOKEN_FILE */
export function parseWebhookSecret(line: string): Uint8Array {
  const text = /^whsec_([A-Za-z0-9+/]+={0,2})$/u.exec(line)?.[1];
  const secret = text === undefined ? new Uint8Array(0) : parseBase64(text);
  if (secret.length >= MIN_SECRET_BYTES && secret.length <= MAX_SECRET_BYTES) return secret;
  throw new FormatError("ERR_TOKEN_FILE", 'want "whsec_" and base64 of 24 to 64 bytes');
}

/** Sends events. */
export class Webhook {
  readonly #options: WebhookOptions;
  readonly #waiting: ApprovalEvent[] = [];
  readonly #stop = new AbortController();
  #sending: Promise<void> | undefined;

  constructor(options: WebhookOptions) {
    this.#options = options;
  }

  /** Returns at once. */
  tell(event: ApprovalEvent): void {
    if (this.#stop.signal.aborted) return;
    if (this.#waiting.length >= MAX_WAITING) {
      this.#options.onLost({ id: event.id, why: "too many wait" });
      return;
    }
    this.#waiting.push(event);
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Ends what is being sent; what waits is told anew by the next run, if it still matters. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    for (let event = this.#waiting.shift(); event !== undefined; event = this.#waiting.shift()) {
      const why = await this.#send(event);
      if (why !== undefined && !this.#stop.signal.aborted) this.#options.onLost({ id: event.id, why });
    }
  }

  /** @returns why it was not taken; undefined if it was */
  async #send({ id, body, untilMs }: ApprovalEvent): Promise<string | undefined> {
    const { world } = this.#options;
    const text = JSON.stringify(body);
    for (let tries = 0; ; tries += 1) {
      const why = await this.#try(id, text);
      const pauseMs = RETRY_MS[tries];
      if (why === undefined || pauseMs === undefined || this.#stop.signal.aborted) return why;
      if (world.nowMs() + pauseMs > untilMs) return why;
      await world.sleep(pauseMs, this.#stop.signal);
    }
  }

  async #try(id: string, text: string): Promise<string | undefined> {
    const { url, secret, world } = this.#options;
    const timestamp = String(Math.floor(world.nowMs() / 1000));
    try {
      const answer = await world.fetch(url, {
        method: "POST",
        body: text,
        redirect: "error",
        signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), this.#stop.signal]),
        headers: {
          "content-type": "application/json",
          "webhook-id": id,
          "webhook-timestamp": timestamp,
          "webhook-signature": `v1,${formatBase64(hmacSha256(secret, formatUtf8(`${id}.${timestamp}.${text}`)))}`,
        },
      });
      await answer.body?.cancel();
      return answer.ok ? undefined : `status ${answer.status}`;
    } catch (error) {
      return error instanceof Error ? error.name : "unknown";
    }
  }
}
