/**
 * What a leg asks of a server over HTTP, and what it gets back: the part of `fetch` that the gateway uses. Redirects are answers
 * like others, nothing is repeated, no proxy of the environment is asked.
 */

import { connect } from "node:net";
import type { CancelSignal } from "./cancellation.ts";
import type { HttpAnswer } from "./http-answer.ts";
import { HttpConnections } from "./http-connections.ts";

/** A request. */
export interface SiteRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Ends the request, and the reading of its answer. */
  readonly signal: CancelSignal;
}

/**
 * Sends a request. A request that met no connection rejects with the code of the system or `ERR_CONNECT_TIMEOUT`; any other
 * rejection leaves open what became of it.
 */
export type SiteFetch = (url: string, request: SiteRequest) => Promise<HttpAnswer>;

const plain = new HttpConnections({
  protocol: "http:",
  open: (place) => connect({ ...place, noDelay: true }),
  ready: "connect",
});

/** Requests over plain HTTP. */
export const httpFetch: SiteFetch = plain.fetch;
