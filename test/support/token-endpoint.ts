/** An issuer of client credentials on the loopback: real metadata, a real token endpoint, and every fault that a test wants. */

import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { listenOnLoopback } from "./loopback.ts";

/** One request for a token. */
export interface TokenAsk {
  readonly headers: IncomingHttpHeaders;
  readonly form: URLSearchParams;
}

/** The issuer under test. */
export interface TokenEndpoint {
  readonly issuer: string;
  /** Requests for tokens, in order. */
  readonly asks: readonly TokenAsk[];
  /** Paths of all requests, in order. */
  readonly paths: readonly string[];
  /** Members that replace those of its metadata. */
  metadata: Readonly<Record<string, unknown>>;
  /** Members that replace those of a token's answer. */
  answer: Readonly<Record<string, unknown>>;
  status: number;
  /** Settles before a token is given. */
  gate: Promise<void>;
  /** Every token that it gave, in order. */
  readonly tokens: readonly string[];
  readonly close: () => Promise<void>;
}

/** Starts one; tokens are `token-1`, `token-2`, … and live 300 seconds. */
export async function startTokenEndpoint(): Promise<TokenEndpoint> {
  const [asks, paths, tokens]: [TokenAsk[], string[], string[]] = [[], [], []];
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    paths.push(path);
    const send = (status: number, value: unknown): void => {
      response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
    };
    if (path === "/.well-known/oauth-authorization-server") {
      const methods = ["client_secret_basic", "private_key_jwt"];
      send(200, {
        issuer: endpoint.issuer,
        token_endpoint: `${endpoint.issuer}/token`,
        token_endpoint_auth_methods_supported: methods,
        ...endpoint.metadata,
      });
      return;
    }
    if (path !== "/token") return send(404, {});
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      asks.push({ headers: request.headers, form: new URLSearchParams(Buffer.concat(chunks).toString("utf8")) });
      const token = `token-${asks.length}`;
      tokens.push(token);
      void endpoint.gate.then(() => {
        send(endpoint.status, { access_token: token, token_type: "Bearer", expires_in: 300, ...endpoint.answer });
      });
    });
  });
  const port = await listenOnLoopback(server);
  const endpoint: TokenEndpoint = {
    issuer: `http://127.0.0.1:${port}`,
    asks,
    paths,
    tokens,
    metadata: {},
    answer: {},
    status: 200,
    gate: Promise.resolve(),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return endpoint;
}
