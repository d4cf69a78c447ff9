/** One request to an OAuth issuer, or for a document about one: no redirect, a bound of bytes and of time, JSON back. */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { isJsonObject, type JsonObject } from "../../kernel/json/value.ts";
import { readWhole } from "../upstream/http-answer.ts";
import type { SiteFetch, SiteRequest } from "../upstream/http-client.ts";

/** An answer; `value` is undefined if its body is no JSON object. */
export interface IssuerAnswer {
  readonly status: number;
  readonly value: JsonObject | undefined;
}

const ASK_MS = 5_000;
const MAX_BYTES = 262_144;

/** GET of a document. @throws {StoreError} ERR_OAUTH_ISSUER if nothing answers in time and within the bound */
export function getFromIssuer(fetcher: SiteFetch, url: string): Promise<IssuerAnswer> {
  return ask(fetcher, url, { method: "GET", headers: { Accept: "application/json" } });
}

/** POST of a form. @throws {StoreError} ERR_OAUTH_ISSUER if nothing answers in time and within the bound */
export function postToIssuer(
  fetcher: SiteFetch,
  url: string,
  form: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>>,
): Promise<IssuerAnswer> {
  const body = formatUtf8(new URLSearchParams({ ...form }).toString());
  const type = { Accept: "application/json", "Content-Type": "application/x-www-form-urlencoded" };
  return ask(fetcher, url, { method: "POST", headers: { ...type, ...headers }, body });
}

async function ask(fetcher: SiteFetch, url: string, request: Omit<SiteRequest, "signal">): Promise<IssuerAnswer> {
  try {
    const answer = await fetcher(url, { ...request, signal: AbortSignal.timeout(ASK_MS) });
    const bytes = await readWhole(answer, MAX_BYTES);
    if (bytes === undefined) throw new Error("the answer is too long");
    return { status: answer.status, value: objectOf(bytes) };
  } catch (cause) {
    throw new StoreError("ERR_OAUTH_ISSUER", "an issuer cannot be asked", { cause });
  }
}

function objectOf(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value = parseJson(bytes, { maxBytes: MAX_BYTES });
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
