import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { Agent, request } from "node:https";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAuthorities } from "../../gateway/identity/client-certificate.ts";
import { ResourceServer } from "../../gateway/identity/resource-server.ts";
import type { ClientAuth } from "../../gateway/identity/tls-config.ts";
import { issue, type TestCertificate } from "../support/certificates.ts";
import { codeOf } from "../support/code-of.ts";
import { ALICE, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { type CountingServer, startCountingServer } from "../support/mcp-server.ts";
import { startTokenIssuer, type TokenIssuer } from "../support/token-issuer.ts";

const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
const CALL = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"x"},${META}}}`;
const HEADERS = {
  "Content-Type": "application/json",
  Accept: "application/json, text/event-stream",
  "MCP-Protocol-Version": "2026-07-28",
  "Mcp-Method": "tools/call",
  "Mcp-Name": "echo",
};

const authority = (name: string): TestCertificate => issue({ subject: ["O=Test", `CN=${name}`], isAuthority: true });
const serverRoot = authority("servers");
const agentRoot = authority("agents");
const domainA = authority("domain a");
const domainB = authority("domain b");
const gatewayCertificate = issue({ subject: ["CN=gateway"], names: ["IP:127.0.0.1"] }, serverRoot);

let clockMs = Date.now();
let server: CountingServer;
let issuer: TokenIssuer;
let gateway: TestGateway;

function start(clientAuth: ClientAuth): Promise<TestGateway> {
  const roots = [agentRoot, domainA, domainB].map(({ cert }) => new X509Certificate(cert));
  const [authorities, a, b] = roots.map((root) => [root]);
  return startTestGateway([httpServer("counting", server.url)], {
    nowMs: () => clockMs,
    tls: {
      cert: gatewayCertificate.cert,
      key: gatewayCertificate.key,
      clientAuth,
      authorities: roots,
      minVersion: "TLSv1.2",
    },
    certificates: {
      authorities: authorities ?? [],
      principals: [{ subject: ["O=Test", "CN=agent-1"], principal: "agent-1" }],
      spiffe: new Map([
        ["a.example", a ?? []],
        ["b.example", b ?? []],
      ]),
    },
    makeServer: (origin) =>
      new ResourceServer({
        config: { issuers: [{ issuer: issuer.issuer, jwks_url: issuer.jwksUrl }], allow_loopback_http: true },
        origin,
        hasCertificates: true,
        readFile: () => new Uint8Array(),
        fetch,
        nowMs: () => clockMs,
        randomBytes,
        logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
      }),
  });
}

beforeAll(async () => {
  server = await startCountingServer("modern");
  issuer = await startTokenIssuer();
  gateway = await start("request");
});
afterAll(async () => {
  await gateway.close();
  await issuer.close();
  await server.close();
});

interface Shown {
  readonly certificate?: Pick<TestCertificate, "cert" | "key">;
  readonly token?: string;
  readonly to?: TestGateway;
  readonly agent?: Agent;
}

/** Calls `echo` over TLS. @returns status and reason */
function call({ certificate, token, to = gateway, agent }: Shown): Promise<readonly [number, string | undefined]> {
  const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const shown = certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key };
  return new Promise((resolve, reject) => {
    const sent = request(
      `${to.url}/mcp`,
      {
        method: "POST",
        headers: { ...HEADERS, ...authorization },
        ca: serverRoot.cert,
        agent: agent ?? false,
        ...shown,
      },
      (answer) => {
        let body = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          body += chunk;
        });
        answer.on("end", () => resolve([answer.statusCode ?? 0, /"reason":"([a-z.-]+)"/u.exec(body)?.[1]]));
      },
    );
    sent.on("error", reject);
    sent.end(CALL);
  });
}

const GOOD = [200, undefined] as const;
const refused = (reason: string): readonly [number, string] => [401, reason];

describe("the agents' listener with TLS", () => {
  it("serves configured tokens, and asks for a credential where there is none", async () => {
    expect(gateway.url).toMatch(/^https:/u);
    expect(await call({ token: ALICE })).toEqual(GOOD);
    expect(await call({})).toEqual(refused("auth.missing"));
  });

  it("takes a certificate of a configured subject as that principal", async () => {
    const certificate = issue({ subject: ["O=Test", "CN=agent-1"] }, agentRoot);
    expect(await call({ certificate })).toEqual(GOOD);
    expect(gateway.pipeline.calls.at(-1)?.caller).toMatchObject({
      issuer: "x509",
      name: "agent-1",
      outcome: "verified",
      facts: { kind: "agent", binding: "connection" },
    });
  });

  it("refuses another subject, another authority, an authority itself, and what is over or not yet", async () => {
    const subject = ["O=Test", "CN=agent-1"];
    const now = Date.now();
    const cases: readonly (readonly [TestCertificate, string])[] = [
      [issue({ subject: ["O=Test", "CN=agent-2"] }, agentRoot), "auth.certificate"],
      [issue({ subject: ["CN=agent-1", "O=Test"] }, agentRoot), "auth.certificate"],
      [issue({ subject }, domainA), "auth.certificate"],
      [issue({ subject }, authority("agents")), "auth.certificate"],
      [issue({ subject }), "auth.certificate"],
      [issue({ subject, isAuthority: true }, agentRoot), "auth.certificate"],
      [issue({ subject, fromMs: now - 7_200_000, untilMs: now - 3_600_000 }, agentRoot), "auth.expired"],
      [issue({ subject, fromMs: now + 3_600_000 }, agentRoot), "auth.not-yet-valid"],
    ];
    for (const [certificate, reason] of cases) {
      expect(await call({ certificate })).toEqual(refused(reason));
      expect(gateway.pipeline.refusals.at(-1)).toMatchObject({ step: "authenticate", reason });
    }
  });

  it("ends with the certificate, on a connection that stays open", async () => {
    const untilMs = Date.now() + 60_000;
    const certificate = issue({ subject: ["O=Test", "CN=agent-1"], untilMs }, agentRoot);
    const agent = new Agent({
      keepAlive: true,
      maxSockets: 1,
      ca: serverRoot.cert,
      cert: certificate.cert,
      key: certificate.key,
    });
    expect(await call({ certificate, agent })).toEqual(GOOD);
    clockMs = untilMs + 1_000;
    expect(await call({ certificate, agent })).toEqual(refused("auth.expired"));
    clockMs = Date.now();
    agent.destroy();
  });
});

describe("SPIFFE ids", () => {
  const svid = (names: readonly string[], by: TestCertificate): TestCertificate =>
    issue({ subject: ["O=SPIRE"], names }, by);

  it("are principals by the bundle of their own trust domain, over an intermediate too", async () => {
    expect(await call({ certificate: svid(["URI:spiffe://a.example/agent/planner"], domainA) })).toEqual(GOOD);
    expect(gateway.pipeline.calls.at(-1)?.caller).toMatchObject({
      issuer: "spiffe://a.example",
      name: "spiffe://a.example/agent/planner",
      facts: { kind: "workload" },
    });
    const middle = issue({ subject: ["CN=middle"], isAuthority: true }, domainB);
    const leaf = svid(["DNS:host", "URI:spiffe://b.example/x"], middle);
    expect(await call({ certificate: { cert: leaf.cert + middle.cert, key: leaf.key } })).toEqual(GOOD);
  });

  it("are nobody's by another domain's bundle, twice, malformed, or on an authority's certificate", async () => {
    const impostor = issue({ subject: domainA.subject, isAuthority: true }, domainB);
    const leaf = svid(["URI:spiffe://a.example/agent"], impostor);
    const cases = [
      svid(["URI:spiffe://a.example/agent"], domainB),
      svid(["URI:spiffe://c.example/agent"], domainA),
      { cert: leaf.cert + impostor.cert, key: leaf.key },
      // The genuine authority beside an impostor of its name: names lead there, signatures do not.
      { cert: leaf.cert + domainA.cert + impostor.cert, key: leaf.key },
      svid(["URI:spiffe://a.example/agent", "URI:spiffe://a.example/other"], domainA),
      svid(["URI:spiffe://a.example/agent/"], domainA),
      svid(["URI:spiffe://a.example/../agent"], domainA),
      svid(["URI:spiffe://a.example"], domainA),
      svid(["URI:https://a.example/agent"], domainA),
      svid(["URI:spiffe://a.example/agent?x"], domainA),
      issue({ subject: ["O=SPIRE"], names: ["URI:spiffe://a.example/agent"], isAuthority: true }, domainA),
    ];
    for (const certificate of cases) expect(await call({ certificate })).toEqual(refused("auth.certificate"));
  });
});

describe("a token that is bound to a certificate", () => {
  it("is taken on a connection with that certificate, whoever issued it, and on no other", async () => {
    const certificate = issue({ subject: ["CN=self-signed"] });
    const thumbprint = createHash("sha256").update(new X509Certificate(certificate.cert).raw).digest("base64url");
    const token = await issuer.token({ aud: `${gateway.url}/mcp`, cnf: { "x5t#S256": thumbprint } });
    expect(await call({ certificate, token })).toEqual(GOOD);
    expect(gateway.pipeline.calls.at(-1)?.caller.facts?.binding).toBe("connection");
    expect(await call({ token })).toEqual(refused("auth.binding"));
    expect(await call({ token, certificate: issue({ subject: ["CN=self-signed"] }) })).toEqual(refused("auth.binding"));
  });
});

describe("client_auth require", () => {
  it("serves nothing without a certificate that names somebody, token or not", async () => {
    const strict = await start("require");
    const certificate = issue({ subject: ["O=Test", "CN=agent-1"] }, agentRoot);
    expect(await call({ to: strict, token: ALICE })).toEqual(refused("auth.certificate"));
    expect(await call({ to: strict, token: ALICE, certificate: issue({ subject: ["CN=x"] }) })).toEqual(
      refused("auth.certificate"),
    );
    expect(await call({ to: strict, certificate })).toEqual(GOOD);
    expect(await call({ to: strict, token: ALICE, certificate })).toEqual(GOOD);
    expect(strict.pipeline.calls.at(-1)?.caller).toMatchObject({ issuer: "local", name: "alice" });
    await strict.close();
  });
});

describe("files of authorities", () => {
  it("hold certificates of authorities and no other", () => {
    expect(parseAuthorities(`${agentRoot.cert}\n${domainA.cert}`)).toHaveLength(2);
    for (const text of ["", "x", gatewayCertificate.cert, agentRoot.cert + gatewayCertificate.cert]) {
      expect(codeOf(() => parseAuthorities(text))).toBe("ERR_CERTIFICATE");
    }
  });
});
