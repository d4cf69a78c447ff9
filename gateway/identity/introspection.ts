/**
 * Asks an issuer about an access token (RFC 7662): the only way to know what an opaque one says, and whether one still holds.
 * Answers are kept for a moment under the hash of their token; without an answer nothing is believed.
 */

import { errorCode } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { OldestFirst } from "../oldest-first.ts";
import type { SiteFetch } from "../upstream/http-client.ts";
import { postToIssuer } from "./ask-issuer.ts";
import { type ClientConfig, type ProofDeps, proveClient } from "./client-authentication.ts";
import { tokenHash } from "./token-hash.ts";

/** The member `introspection` of an issuer. */
export type IntrospectionConfig = ClientConfig & {
  readonly endpoint: string;
  /** How long an answer is used: a token that is revoked may be taken for so long. Default 30; 0: each request asks. */
  readonly max_age_seconds?: number;
};

/** What it works with. */
export interface IntrospectionOptions extends ProofDeps {
  readonly issuer: string;
  readonly config: IntrospectionConfig;
  readonly fetch: SiteFetch;
  readonly logger: Logger;
}

/** What the issuer says of a token. */
export type Introspected =
  | { readonly type: "active"; readonly claims: JsonObject }
  | { readonly type: "inactive" }
  | { readonly type: "unavailable" };

interface Kept {
  readonly answer: Introspected;
  readonly untilMs: number;
}

const MAX_AGE_SECONDS = 30;
/** How long nothing is asked about a token that could not be asked about. */
const UNAVAILABLE_MS = 1_000;
const MAX_KEPT = 8_192;
const MAX_UNDER_WAY = 64;

/** Asks one issuer. */
export class Introspection {
  readonly #options: IntrospectionOptions;
  /** By the hash of the token. */
  readonly #kept = new OldestFirst<string, Kept>(MAX_KEPT);
  readonly #underWay = new Map<string, Promise<Introspected>>();

  constructor(options: IntrospectionOptions) {
    this.#options = options;
  }

  /** Never rejects. Requests for one token at once share one question. */
  async ask(token: string): Promise<Introspected> {
    const key = tokenHash(token);
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.#options.nowMs() < kept.untilMs) return kept.answer;
    const known = this.#underWay.get(key);
    if (known !== undefined) return known;
    // Whoever sends invented tokens makes the gateway ask no more than so much at a time.
    if (this.#underWay.size >= MAX_UNDER_WAY) return { type: "unavailable" };
    const asking = this.#ask(token)
      .then((answer) => this.#keep(key, answer))
      .finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, asking);
    return asking;
  }

  #keep(key: string, answer: Introspected): Introspected {
    const { config, nowMs } = this.#options;
    const ageMs = answer.type === "unavailable" ? UNAVAILABLE_MS : (config.max_age_seconds ?? MAX_AGE_SECONDS) * 1000;
    this.#kept.delete(key);
    if (ageMs === 0) return answer;
    this.#kept.set(key, { answer, untilMs: nowMs() + ageMs });
    this.#kept.trim();
    return answer;
  }

  async #ask(token: string): Promise<Introspected> {
    const { config, issuer, fetch, logger } = this.#options;
    try {
      const { headers, form } = await proveClient(config, issuer, this.#options);
      const asked = { token, token_type_hint: "access_token", ...form };
      const { status, value } = await postToIssuer(fetch, config.endpoint, asked, headers);
      if (status === 200 && value !== undefined && typeof value["active"] === "boolean") {
        return value["active"] ? { type: "active", claims: value } : { type: "inactive" };
      }
      logger.warn({ issuer, status }, "an issuer did not answer a question about a token");
    } catch (error) {
      const code = errorCode(error);
      logger.warn({ issuer, code }, "an issuer could not be asked about a token");
    }
    return { type: "unavailable" };
  }
}
