/** The gateway's own credentials at servers: tokens of a real issuer, for a real server, and never one of an agent. */

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import type { IncomingHttpHeaders } from "node:http";
import { createServer } from "node:net";
import { createLocalJWKSet, exportJWK, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ServerOauth } from "../../gateway/upstream/server-oauth.ts";
import { connectUpstream, type Upstream, type UpstreamDeps } from "../../gateway/upstream/upstream.ts";
import { upstreamConfigShape } from "../../gateway/upstream/upstream-config.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { codeFrom, codeOf } from "../support/code-of.ts";
import { ALICE, startTestGateway, upstreamDeps } from "../support/mcp-gateway.ts";
import { answerAsModern, type ScriptedServer, sendJson, startScriptedServer } from "../support/mcp-scripted.ts";
import { callWith } from "../support/oauth-gateway.ts";
import { startTokenEndpoint, type TokenEndpoint } from "../support/token-endpoint.ts";

const open: { close: () => Promise<void> }[] = [];
const seen: IncomingHttpHeaders[] = [];
let issuer: TokenEndpoint;
let server: ScriptedServer;
/** Tokens that the server refuses. */
const refused = new Set<string>();
let logged: object[];
let nowMs: number;
/** Content of the file `secret`. */
let secret: string;

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

beforeEach(async () => {
  seen.length = 0;
  refused.clear();
  logged = [];
  nowMs = Date.now();
  secret = "s3cr&t +/";
  issuer = await startTokenEndpoint();
  server = await startScriptedServer((message, response, request) => {
    seen.push(request.headers);
    const token = request.headers.authorization?.replace("Bearer ", "") ?? "";
    if (token === "" || refused.has(token)) {
      response.writeHead(401, { "WWW-Authenticate": 'Bearer error="invalid_token"' }).end();
    } else if (!answerAsModern(message, response)) {
      sendJson(response, { jsonrpc: "2.0", id: message.id, result: { resultType: "complete", content: [] } });
    }
  });
  open.push(issuer, server);
});
afterEach(async () => {
  for (const item of open.splice(0).reverse()) await item.close();
});

const readFile = (path: string): Uint8Array =>
  formatUtf8(path === "secret" ? `${secret}\n` : privateKey.export({ type: "pkcs8", format: "pem" }).toString());

function oauth(changes: Partial<ServerOauth> = {}): ServerOauth {
  const client = { client_id: "gateway:eu", client_secret_file: "secret" };
  return { issuer: issuer.issuer, allow_loopback_http: true, ...client, ...changes };
}

function deps(): UpstreamDeps {
  return { ...upstreamDeps(logged), bearerTokens: new Map(), readFile, nowMs: () => nowMs };
}

async function connected(config: ServerOauth = oauth()): Promise<Upstream> {
  const upstream = await connectUpstream(
    { transport: "http", id: "s", url: server.url, attributes: {}, oauth: config },
    deps(),
  );
  open.push(upstream);
  return upstream;
}

async function outcomeOf(upstream: Upstream): Promise<unknown> {
  const id = upstream.nextId();
  const reply = await upstream.request({
    id,
    method: "tools/call",
    headers: { "Mcp-Method": "tools/call", "Mcp-Name": "t" },
    bytes: formatUtf8(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t"}}`),
    signal: new AbortController().signal,
  });
  return reply.type === "failed" ? [reply.effect, reply.reason] : reply.type;
}

const sentTokens = (): readonly (string | undefined)[] => seen.map(({ authorization }) => authorization);

describe("client credentials", () => {
  it("are asked for over TLS where the issuer has no authorities of its own", async () => {
    const arrived: ((first: number | undefined) => void)[] = [];
    const arrival = new Promise((resolve) => arrived.push(resolve));
    const listener = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (bytes) => {
        for (const tell of arrived) tell(bytes[0]);
        socket.destroy();
      });
    }).listen(0, "127.0.0.1");
    await once(listener, "listening");
    open.push({ close: async () => void listener.close() });
    const address = listener.address();
    const port = typeof address === "object" ? address?.port : undefined;
    expect(await codeFrom(connected(oauth({ issuer: `https://127.0.0.1:${port}` })))).toBe("ERR_UPSTREAM");
    // RFC 8446 §5.1: a handshake record.
    expect(await arrival).toBe(22);
  });

  it("are shown by a secret, for the server as resource; receipts call the leg shared", async () => {
    const upstream = await connected(oauth({ scopes: ["read", "write"] }));
    expect(await outcomeOf(upstream)).toBe("answered");
    const [ask] = issuer.asks;
    expect(Object.fromEntries(ask?.form ?? [])).toEqual({
      grant_type: "client_credentials",
      resource: server.url,
      scope: "read write",
    });
    const pair = Buffer.from(ask?.headers.authorization?.replace("Basic ", "") ?? "", "base64").toString("utf8");
    expect(pair).toBe("gateway%3Aeu:s3cr%26t+%2B%2F");
    expect(new Set(sentTokens())).toEqual(new Set(["Bearer token-1"]));
    expect(upstream.facts().auth).toBe("shared");
    expect(issuer.asks).toHaveLength(1);
  });

  it("are shown by a signature of the gateway's key, new each time, for the issuer alone", async () => {
    const { client_secret_file: _, ...config } = oauth();
    await connected({ ...config, private_key_file: "key", private_key_id: "gw-1" });
    const { form, headers } = issuer.asks[0] ?? { form: new URLSearchParams(), headers: {} };
    expect(headers.authorization).toBeUndefined();
    expect(form.get("client_assertion_type")).toBe("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    const jwks = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), kid: "gw-1", alg: "ES256" }] });
    const { payload } = await jwtVerify(form.get("client_assertion") ?? "", jwks, {
      issuer: "gateway:eu",
      subject: "gateway:eu",
      audience: issuer.issuer,
    });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
    expect(payload.jti).toMatch(/^[0-9a-f]{32}$/u);
  });

  it("bring one token for everybody who waits, and another one shortly before its end", async () => {
    const upstream = await connected();
    nowMs += 240_000;
    expect(await outcomeOf(upstream)).toBe("answered");
    expect(issuer.asks).toHaveLength(1);
    nowMs += 31_000;
    const gate = hold();
    const calls = Array.from({ length: 20 }, () => outcomeOf(upstream));
    gate();
    expect(new Set(await Promise.all(calls))).toEqual(new Set(["answered"]));
    expect(issuer.asks).toHaveLength(2);
    expect(sentTokens().at(-1)).toBe("Bearer token-2");
  });

  it("are renewed once when the server refuses a token, and not again within a moment", async () => {
    const upstream = await connected();
    nowMs += 10_000;
    refused.add("token-1");
    expect(await outcomeOf(upstream)).toBe("answered");
    expect(sentTokens().slice(-2)).toEqual(["Bearer token-1", "Bearer token-2"]);
    for (let i = 2; i < 20; i += 1) refused.add(`token-${i}`);
    expect(await outcomeOf(upstream)).toEqual(["unknown", "upstream.status"]);
    expect(await outcomeOf(upstream)).toEqual(["unknown", "upstream.status"]);
    expect(issuer.asks).toHaveLength(2);
    nowMs += 10_000;
    expect(await outcomeOf(upstream)).toEqual(["unknown", "upstream.status"]);
    expect(issuer.asks).toHaveLength(3);
  });

  it("that cannot be had end a call before anything is sent, and leave the issuer alone for a moment", async () => {
    const upstream = await connected();
    nowMs += 400_000;
    issuer.status = 401;
    issuer.answer = { error: "invalid_client", error_description: "token-1 s3cr&t" };
    const before = seen.length;
    expect(await outcomeOf(upstream)).toEqual(["none", "upstream.credential"]);
    expect(await outcomeOf(upstream)).toEqual(["none", "upstream.credential"]);
    expect(seen).toHaveLength(before);
    expect(issuer.asks).toHaveLength(2);
    issuer.status = 200;
    issuer.answer = {};
    nowMs += 3_000;
    expect(await outcomeOf(upstream)).toBe("answered");
    const text = JSON.stringify(logged);
    expect(text).toContain("invalid_client");
    for (const canary of ["token-", "s3cr", "error_description"]) expect(text).not.toContain(canary);
  });

  it("are read from their file each time", async () => {
    const upstream = await connected();
    secret = "another";
    nowMs += 400_000;
    expect(await outcomeOf(upstream)).toBe("answered");
    expect(Buffer.from(issuer.asks[1]?.headers.authorization?.slice(6) ?? "", "base64").toString()).toContain(
      ":another",
    );
  });

  it.each<readonly [string, Readonly<Record<string, unknown>>]>([
    ["no token", { access_token: undefined }],
    ["a token that would split a header", { access_token: "a\r\nX: y" }],
    ["a token of another type", { token_type: "DPoP" }],
    ["a token that is over", { expires_in: 0 }],
    ["more than an answer may have", { pad: "x".repeat(300_000) }],
  ])("are not taken from an answer with %s", async (_, answer) => {
    issuer.answer = answer;
    expect(await codeFrom(connected())).toBe("ERR_UPSTREAM");
    expect(seen).toEqual([]);
  });

  it.each<readonly [string, Readonly<Record<string, unknown>>]>([
    ["another issuer", { issuer: "https://other.example" }],
    ["a token endpoint by plain HTTP elsewhere", { token_endpoint: "http://other.example/token" }],
    ["no token endpoint", { token_endpoint: undefined }],
    ["another way to show who one is", { token_endpoint_auth_methods_supported: ["client_secret_post"] }],
    ["other grants", { grant_types_supported: ["authorization_code"] }],
  ])("are not asked for where the metadata have %s", async (_, metadata) => {
    issuer.metadata = metadata;
    expect(await codeFrom(connected())).toBe("ERR_UPSTREAM");
    expect(issuer.asks).toEqual([]);
  });
});

/** The issuer holds back its answers until the returned function is called. */
function hold(): () => void {
  let release = (): void => undefined;
  issuer.gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  return () => release();
}

describe("a server's own metadata", () => {
  it.each<readonly [string, () => JsonObject, string | undefined]>([
    ["the server and the pinned issuer", () => ({ authorization_servers: [issuer.issuer] }), undefined],
    ["no issuers", () => ({}), undefined],
    ["other issuers", () => ({ authorization_servers: ["https://other.example"] }), "ERR_UPSTREAM"],
    ["another resource", () => ({ resource: "https://other.example/mcp" }), "ERR_UPSTREAM"],
  ])("with %s lead nowhere else", async (_, more, code) => {
    const { createServer } = await import("node:http");
    const fronted = createServer((request, response) => {
      if (request.url === "/.well-known/oauth-protected-resource/mcp") {
        response.end(JSON.stringify({ resource: `${base}/mcp`, ...more() }));
      } else {
        response.writeHead(307, { location: server.url }).end();
      }
    });
    await new Promise<void>((resolve) => fronted.listen(0, "127.0.0.1", resolve));
    const address = fronted.address();
    const base = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
    open.push({ close: () => new Promise((resolve) => fronted.close(() => resolve())) });
    const config = { transport: "http", id: "s", url: `${base}/mcp`, attributes: {}, oauth: oauth() } as const;
    // What stands behind the metadata redirects, so a connection ends there at the latest.
    expect(await codeFrom(connectUpstream(config, deps()))).toBe("ERR_UPSTREAM");
    expect(issuer.asks).toHaveLength(code === undefined ? 1 : 0);
  });
});

describe("a configuration of client credentials", () => {
  it.each<readonly [string, JsonObject]>([
    ["neither secret nor key", { issuer: "https://as.example", client_id: "gw" }],
    [
      "both secret and key",
      { issuer: "https://as.example", client_id: "gw", client_secret_file: "s", private_key_file: "k" },
    ],
    ["an issuer by plain HTTP", { issuer: "http://as.example", client_id: "gw", client_secret_file: "s" }],
    ["user info", { issuer: "https://a:b@as.example", client_id: "gw", client_secret_file: "s" }],
  ])("is refused with %s", (_, value) => {
    const read = () => upstreamConfigShape.read({ id: "s", url: "https://s.example/mcp", oauth: value }, "server");
    expect(codeOf(read)).toBe("ERR_SHAPE");
  });

  it("is refused beside a fixed token", () => {
    const value = { issuer: "https://as.example", client_id: "gw", client_secret_file: "s" };
    const whole = { id: "s", url: "https://s.example/mcp", oauth: value, bearer_token_file: "t" };
    expect(codeOf(() => upstreamConfigShape.read(whole, "server"))).toBe("ERR_SHAPE");
  });
});

describe("an agent's credential", () => {
  it("never reaches a server: not its token, not in any other header, whatever it sends", async () => {
    const gateway = await startTestGateway(
      [{ transport: "http", id: "s", url: server.url, attributes: {}, oauth: oauth() }],
      { readFile },
    );
    open.push(gateway);
    const headers = {
      Authorization: `Bearer ${ALICE}`,
      Cookie: "canary-cookie=1",
      "Proxy-Authorization": "Basic canary-proxy",
      "X-Forwarded-Authorization": "canary-forwarded",
      DPoP: "canary-dpop",
    };
    const answer = await callWith(gateway, headers, "t");
    expect(answer.status).toBe(200);
    const text = JSON.stringify(seen);
    for (const canary of [ALICE, "canary"]) expect(text).not.toContain(canary);
    expect(new Set(sentTokens())).toEqual(new Set(["Bearer token-1"]));
    expect(JSON.stringify(issuer.asks)).not.toContain(ALICE);
  });
});
