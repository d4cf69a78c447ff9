/** A gateway that takes access tokens of a real issuer, before a real server; and calls of its tool `echo`. */

import { randomBytes } from "node:crypto";
import type { OauthConfig } from "../../gateway/identity/oauth-config.ts";
import { ResourceServer } from "../../gateway/identity/resource-server.ts";
import { httpServer, startTestGateway, type TestGateway } from "./mcp-gateway.ts";
import { type RawAnswer, sendRaw } from "./mcp-raw.ts";
import { type CountingServer, startCountingServer } from "./mcp-server.ts";
import { startTokenIssuer, type TokenIssuer } from "./token-issuer.ts";

/** Issuer, server, and gateways of their own configuration. */
export interface OauthRig {
  readonly issuer: TokenIssuer;
  readonly server: CountingServer;
  /** The gateways' clock. */
  nowMs: number;
  readonly start: (config?: Partial<OauthConfig>) => Promise<TestGateway>;
  /** Ends the gateways, too. */
  readonly close: () => Promise<void>;
}

const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';

/** Starts issuer and server. */
export async function startOauthRig(): Promise<OauthRig> {
  const server = await startCountingServer("modern");
  const issuer = await startTokenIssuer();
  const gateways: TestGateway[] = [];
  const rig: OauthRig = {
    issuer,
    server,
    nowMs: Date.now(),
    start: async (config = {}) => {
      const gateway = await startTestGateway([httpServer("counting", server.url)], {
        makeServer: (origin) => makeServer(rig, origin, config),
      });
      gateways.push(gateway);
      return gateway;
    },
    close: async () => {
      for (const gateway of gateways) await gateway.close();
      await issuer.close();
      await server.close();
    },
  };
  return rig;
}

function makeServer(rig: OauthRig, origin: string, config: Partial<OauthConfig>): ResourceServer {
  const issuers = [{ issuer: rig.issuer.issuer, jwks_url: rig.issuer.jwksUrl }];
  return new ResourceServer({
    config: { issuers, allow_loopback_http: true, jwks_floor_seconds: 0, ...config },
    origin,
    hasCertificates: false,
    readFile: () => new Uint8Array(),
    fetch,
    nowMs: () => rig.nowMs,
    randomBytes,
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
  });
}

/** Calls a tool of the counting server with these headers. */
export function callWith(
  { url }: Pick<TestGateway, "url">,
  headers: Readonly<Record<string, string | undefined>>,
  tool = "echo",
  meta = "",
): Promise<RawAnswer> {
  const argument = tool === "echo" ? '{"message":"x"}' : "{}";
  const params = `{"name":"${tool}","arguments":${argument},${META.replace("{", `{${meta}`)}}`;
  const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`;
  const mirrored = { "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool };
  return sendRaw(url, { body, headers: { ...mirrored, ...headers } });
}

/** The header of a bearer token. */
export function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}
