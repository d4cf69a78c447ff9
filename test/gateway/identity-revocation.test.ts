/** Client certificates that were taken back: lists in files that change while the gateway runs, over real handshakes. */

import { X509Certificate } from "node:crypto";
import { Agent, request } from "node:https";
import { afterEach, describe, expect, it } from "vitest";
import { Revocation } from "../../gateway/identity/revocation.ts";
import { namesOf, parseRevocationLists } from "../../gateway/identity/revocation-list.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { issue, issueList, type TestCertificate } from "../support/certificates.ts";
import { codeOf } from "../support/code-of.ts";
import { httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { startCountingServer } from "../support/mcp-server.ts";

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

const root = issue({ subject: ["CN=root"], isAuthority: true });
const between = issue({ subject: ["CN=between"], isAuthority: true }, root);
const stranger = issue({ subject: ["CN=root"], isAuthority: true });
const serverRoot = issue({ subject: ["CN=servers"], isAuthority: true });
const own = issue({ subject: ["CN=gateway"], names: ["IP:127.0.0.1"] }, serverRoot);
const agent = issue({ subject: ["CN=agent-1"] }, root);
const other = issue({ subject: ["CN=agent-1"] }, root);
const below = issue({ subject: ["CN=agent-1"] }, between);
const DAY_MS = 86_400_000;
const START_MS = Date.now();

let nowMs = START_MS;
let file: Uint8Array;
let logged: string[] = [];
const open: { close: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const item of open.splice(0).reverse()) await item.close();
  nowMs = START_MS;
  logged = [];
});

function pem(...lists: readonly Uint8Array[]): Uint8Array {
  const one = (der: Uint8Array): string =>
    `-----BEGIN X509 CRL-----\n${Buffer.from(der).toString("base64")}\n-----END X509 CRL-----\n`;
  return formatUtf8(lists.map(one).join(""));
}

function revocation(): Revocation {
  const log = (_: object, message: string): void => void logged.push(message);
  return new Revocation({
    files: ["list"],
    readFile: () => file,
    nowMs: () => nowMs,
    refreshMs: 60_000,
    logger: { info: log, warn: log, error: log },
  });
}

async function started(): Promise<TestGateway> {
  const server = await startCountingServer("modern");
  const anchor = new X509Certificate(root.cert);
  const gateway = await startTestGateway([httpServer("counting", server.url)], {
    nowMs: () => nowMs,
    tls: { cert: own.cert, key: own.key, clientAuth: "request", authorities: [anchor], minVersion: "TLSv1.2" },
    certificates: {
      authorities: [anchor],
      principals: [{ subject: ["CN=agent-1"], principal: "agent-1" }],
      spiffe: new Map(),
      revocation: revocation(),
    },
  });
  open.push(server, gateway);
  return gateway;
}

/** Calls `echo` with a certificate, on a connection of its own. @returns status and reason */
function call(gateway: TestGateway, shown: TestCertificate, behind = ""): Promise<unknown> {
  const tls = new Agent({ ca: serverRoot.cert, cert: `${shown.cert}${behind}`, key: shown.key });
  return new Promise((resolve, reject) => {
    const sent = request(`${gateway.url}/mcp`, { method: "POST", agent: tls, headers: HEADERS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const { statusCode } = response;
        const reason = /"reason":"([a-z.-]+)"/u.exec(Buffer.concat(chunks).toString("utf8"))?.[1];
        resolve(statusCode === 200 ? 200 : [statusCode, reason]);
      });
    });
    sent.on("error", reject);
    sent.end(CALL);
  });
}

describe("a client certificate", () => {
  it("is refused once its authority has taken it back, without a restart; others of it go on", async () => {
    file = pem(issueList({}, root));
    const gateway = await started();
    expect(await call(gateway, agent)).toBe(200);
    file = issueList({ revoked: [agent] }, root);
    expect(await call(gateway, agent)).toBe(200);
    nowMs += 61_000;
    expect(await call(gateway, agent)).toEqual([401, "auth.revoked"]);
    expect(await call(gateway, other)).toBe(200);
    expect(gateway.pipeline.refusals.at(-1)).toMatchObject({ step: "authenticate", reason: "auth.revoked" });
  });

  it("needs the word of each authority on its path", async () => {
    file = pem(issueList({}, root), issueList({}, between));
    const gateway = await started();
    expect(await call(gateway, below, between.cert)).toBe(200);
    file = pem(issueList({ revoked: [between] }, root), issueList({}, between));
    nowMs += 61_000;
    expect(await call(gateway, below, between.cert)).toEqual([401, "auth.revoked"]);
    file = pem(issueList({}, root));
    nowMs += 61_000;
    expect(await call(gateway, below, between.cert)).toEqual([401, "auth.revocation-unknown"]);
  });

  it.each<readonly [string, () => Uint8Array]>([
    ["of another authority", () => issueList({}, between)],
    ["signed by somebody of its authority's name", () => issueList({}, stranger)],
    ["that is over", () => issueList({ fromMs: START_MS - 2 * DAY_MS }, root)],
    ["that is not valid yet", () => issueList({ fromMs: START_MS + DAY_MS }, root)],
  ])("is refused where there is only a list %s", async (_, list) => {
    file = list();
    expect(await call(await started(), agent)).toEqual([401, "auth.revocation-unknown"]);
  });

  it("is not helped by an older list, nor by one that cannot be read", () => {
    const [leaf, authority] = [new X509Certificate(agent.cert), new X509Certificate(root.cert)];
    file = issueList({ revoked: [agent], fromMs: START_MS - 1_000 }, root);
    const lists = revocation();
    expect(lists.fault(leaf, authority)).toBe("auth.revoked");
    file = issueList({ fromMs: START_MS - 3_600_000 }, root);
    nowMs += 61_000;
    expect(lists.fault(leaf, authority)).toBe("auth.revocation-unknown");
    file = issueList({ revoked: [agent], fromMs: START_MS - 1_000 }, root);
    nowMs += 61_000;
    expect(lists.fault(leaf, authority)).toBe("auth.revoked");
    file = formatUtf8("damaged");
    nowMs += 61_000;
    expect(lists.fault(leaf, authority)).toBe("auth.revoked");
    expect(logged).toHaveLength(1);
    nowMs += 2 * DAY_MS;
    expect(lists.fault(leaf, authority)).toBe("auth.revocation-unknown");
  });
});

describe("a revocation list", () => {
  it("names its authority, its times and the serial numbers", () => {
    const [list] = parseRevocationLists(issueList({ revoked: [agent, other] }, root));
    const names = [agent, other].map(({ cert }) => namesOf(new X509Certificate(cert)));
    expect([...(list?.serials ?? [])].sort()).toEqual(names.map(({ serial }) => serial).sort());
    expect(list?.issuer).toEqual(namesOf(new X509Certificate(root.cert)).subject);
    expect(list?.isSignedBy(new X509Certificate(root.cert))).toBe(true);
    expect(list?.isSignedBy(new X509Certificate(stranger.cert))).toBe(false);
  });

  it("that says less than it seems to say is refused, and so is one that is cut off anywhere", () => {
    expect(codeOf(() => parseRevocationLists(issueList({ isPartial: true }, root)))).toBe("ERR_CERTIFICATE");
    const whole = issueList({ revoked: [agent] }, root);
    for (let length = 0; length < whole.length; length += 1) {
      expect(codeOf(() => parseRevocationLists(whole.subarray(0, length)))).toBe("ERR_CERTIFICATE");
    }
    expect(codeOf(() => parseRevocationLists(Uint8Array.of(...whole, 0)))).toBe("ERR_CERTIFICATE");
  });

  it("with any byte changed is refused, or is not its authority's", () => {
    const whole = issueList({ revoked: [agent] }, root);
    const authority = new X509Certificate(root.cert);
    for (let at = 0; at < whole.length; at += 1) {
      const changed = whole.map((byte, i) => (i === at ? byte ^ 1 : byte));
      let isTaken = false;
      try {
        isTaken = parseRevocationLists(changed).some((list) => list.isSignedBy(authority));
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_CERTIFICATE" });
      }
      expect(isTaken).toBe(false);
    }
  });
});
