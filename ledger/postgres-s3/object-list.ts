/** Names of the objects of a log in the S3-compatible store (ListObjectsV2), for those who check it. */

import { StoreError } from "../../kernel/errors.ts";
import { inTime } from "../in-time.ts";
import type { ObjectStoreCredentials, ObjectStorePlace } from "./object-store.ts";
import { makeStoreClient, persist, refusedBy, type StoreClient } from "./store-request.ts";

const TIMEOUT_MS = 30_000;
/** What is asked, for messages. */
const LIST = "the list of objects";
/** Keys of one answer, as the interface allows them. */
const PAGE_KEYS = 1000;
/** Far above the answer for so many keys of at most 1,024 bytes, each escaped. */
const MAX_ANSWER_CHARACTERS = 8 * 1024 * 1024;
const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/**
 * Keys that begin with `start`, without the prefix of the log, in the order of the store. A page is read when it is needed.
 *
 * @throws {StoreError} ERR_OBJECT_STORE: no answer, no right to list, or an answer that is no list
 */
export async function* listObjects(
  place: ObjectStorePlace,
  credentials: ObjectStoreCredentials,
  start: string,
  send: typeof fetch = fetch,
): AsyncGenerator<string, void, undefined> {
  const client = makeStoreClient(place, credentials);
  for (let token: string | undefined, isFirst = true; isFirst || token !== undefined; isFirst = false) {
    const query = new URLSearchParams({
      "list-type": "2",
      "encoding-type": "url",
      "max-keys": String(PAGE_KEYS),
      prefix: `${place.prefix}${start}`,
      ...(token === undefined ? {} : { "continuation-token": token }),
    });
    const text = await readPage(client, `${place.endpoint}/${place.bucket}?${query.toString()}`, send);
    for (const key of keysOf(text)) yield key.slice(place.prefix.length);
    token = nextOf(text);
  }
}

async function readPage(client: StoreClient, url: string, send: typeof fetch): Promise<string> {
  const { status, text } = await persist(LIST, [200], () =>
    inTime(TIMEOUT_MS, async (signal) => {
      const response = await send(await client.sign(url), { signal, redirect: "error" });
      return { status: response.status, text: await response.text() };
    }),
  );
  if (text.length <= MAX_ANSWER_CHARACTERS && text.includes("<ListBucketResult")) return text;
  throw refusedBy(LIST, status);
}

function keysOf(text: string): readonly string[] {
  return [...text.matchAll(/<Contents>.*?<Key>([^<]*)<\/Key>/gsu)].map(([, key = ""]) =>
    decodeURIComponent(unescapeXml(key).replaceAll("+", " ")),
  );
}

/** Where the next page begins; undefined on the last one. @throws {StoreError} ERR_OBJECT_STORE if a page says neither */
function nextOf(text: string): string | undefined {
  if (!text.includes("<IsTruncated>true</IsTruncated>")) return undefined;
  const token = /<NextContinuationToken>([^<]+)<\/NextContinuationToken>/u.exec(text)?.[1];
  if (token !== undefined) return unescapeXml(token);
  throw new StoreError("ERR_OBJECT_STORE", "the list of objects goes on, and does not say where");
}

function unescapeXml(text: string): string {
  return text.replaceAll(/&(?:#(\d+)|#x([0-9a-f]+)|([a-z]+));/giu, (whole, decimal, hex, name: string | undefined) => {
    if (typeof decimal === "string") return String.fromCodePoint(Number(decimal));
    if (typeof hex === "string") return String.fromCodePoint(Number.parseInt(hex, 16));
    return ENTITIES[name ?? ""] ?? whole;
  });
}
