/** Asks a server as somebody would who knows its address and nothing else: no credential, no certificate of a client. */

import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { discoverRequest } from "../gateway/upstream/own-request.ts";
import type { RouteState } from "../kernel/route-test.ts";
import { packageVersion } from "./version.ts";

/** Statuses that ask for a credential. */
const WANTS_CREDENTIAL: ReadonlySet<number | undefined> = new Set([401, 403, 407]);
/** The alert of a server that wants a certificate (RFC 8446 §6.2). Before TLS 1.3 it is one that says nothing of why. */
const WANTS_CERTIFICATE = "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED";

/** What came of asking. @param timeoutMs  how long an answer is waited for */
export function probeRoute(url: URL, timeoutMs: number): Promise<Exclude<RouteState, "untested">> {
  const { headers, bytes } = discoverRequest(1, { name: "countersign", version: packageVersion() });
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve) => {
    const sent = request(url, {
      method: "POST",
      agent: false,
      // Whose certificate it is does not matter here: an agent may take any.
      rejectUnauthorized: false,
      headers: {
        ...headers,
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
      },
    });
    const late = setTimeout(() => sent.destroy(), timeoutMs);
    const settle = (state: Exclude<RouteState, "untested">): void => {
      clearTimeout(late);
      sent.destroy();
      resolve(state);
    };
    sent.once("response", ({ statusCode }) => settle(WANTS_CREDENTIAL.has(statusCode) ? "refused" : "answered"));
    sent.on("error", (error) => {
      settle("code" in error && error.code === WANTS_CERTIFICATE ? "refused" : "silent");
    });
    sent.once("close", () => settle("silent"));
    sent.end(bytes);
  });
}
