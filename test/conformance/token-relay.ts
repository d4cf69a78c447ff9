/**
 * The suite cannot be given a token, and the gateway takes nobody without one: this stands between them on the loopback
 * and adds the header. Everything else passes as it is, both ways, without being gathered.
 */

import { createServer, request as send } from "node:http";

/** A running relay. */
export interface TokenRelay {
  readonly port: number;
  /** Where it passes requests on to; must be set before the first one. */
  readonly target: { url: string };
  readonly close: () => Promise<void>;
}

/** Starts one on a free port. */
export async function startTokenRelay(token: string): Promise<TokenRelay> {
  const target = { url: "" };
  const server = createServer((incoming, outgoing) => {
    const { method = "GET", url = "/", headers } = incoming;
    const onward = send(
      new URL(url, target.url),
      { method, agent: false, headers: { ...headers, authorization: `Bearer ${token}` } },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        outgoing.flushHeaders();
        answer.pipe(outgoing);
      },
    );
    onward.on("error", () => outgoing.destroy());
    // Only one that is cut: a connection whose answer is whole may carry another request already.
    outgoing.on("close", () => {
      if (!outgoing.writableFinished) onward.destroy();
    });
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    target,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
