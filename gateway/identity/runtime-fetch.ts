/** The runtime's `fetch`, asked as servers are: over HTTPS it trusts the authorities that Node knows. */

import { firstOf } from "../upstream/cancellation.ts";
import type { SiteFetch } from "../upstream/http-client.ts";

/** Wraps it. */
export function throughFetch(fetcher: typeof fetch): SiteFetch {
  return async (url, { method, headers, body = null, signal }) => {
    const stop = new AbortController();
    const ends = firstOf([signal, stop.signal]);
    const response = await fetcher(url, { method, headers, body, redirect: "manual", signal: ends });
    const reader = response.body?.getReader();
    return {
      status: response.status,
      ok: response.ok,
      header: (name) => response.headers.get(name) ?? undefined,
      read: async () => {
        const value: unknown = (await reader?.read())?.value;
        return value instanceof Uint8Array ? value : undefined;
      },
      cancel: () => stop.abort(),
    };
  };
}
