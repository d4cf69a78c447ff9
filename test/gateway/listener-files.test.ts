/** Certificates that are renewed in their files while the gateway runs, over real handshakes. */

import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { Agent, request } from "node:https";
import { connect } from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RunningGateway, startGateway } from "../../gateway/start.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { StoreError } from "../../kernel/errors.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { issue, type TestCertificate } from "../support/certificates.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { type GatewayBench, makeGatewayBench } from "../support/gateway-run.ts";
import { makeManualWorld } from "../support/manual-world.ts";
import { SEAL_RULE } from "../support/policy-artifact.ts";

const REFRESH_SECONDS = 5;
const servers = issue({ subject: ["CN=servers"], isAuthority: true });
const firstRoot = issue({ subject: ["CN=agents 1"], isAuthority: true });
const secondRoot = issue({ subject: ["CN=agents 2"], isAuthority: true });
const own = (): TestCertificate => issue({ subject: ["CN=gateway"], names: ["IP:127.0.0.1"] }, servers);
const svid = (root: TestCertificate): TestCertificate =>
  issue({ subject: ["CN=agent"], names: ["URI:spiffe://a.example/agent"] }, root);

let files: Map<string, string>;
let ledger: FakeLedger;
let bench: GatewayBench;
let gateway: RunningGateway;

beforeEach(async () => {
  const { cert, key } = own();
  files = new Map([
    ["cert", cert],
    ["key", key],
    ["bundle", firstRoot.cert],
  ]);
  ledger = await startFakeLedger();
  const tls = { cert_file: "cert", key_file: "key", refresh_seconds: REFRESH_SECONDS };
  bench = makeGatewayBench(ledger.url, {
    world: makeManualWorld(Date.now()),
    config: {
      listen: { port: 0, tls: { ...tls, client_auth: "request" } },
      auth: { tokens: [], spiffe: [{ trust_domain: "a.example", bundle_file: "bundle" }] },
      kubernetes: {
        listen: { port: 0, tls },
        artifacts_dir: "artifacts",
        signers: SEAL_RULE.signers.map(({ name, key: signer }) => ({ name, key: formatPublicKey(signer) })),
        threshold: 2,
      },
    },
  });
  const readFile = (path: string): Uint8Array => {
    const text = files.get(path);
    if (text === undefined) throw new StoreError("ERR_FILE_READ", "no such file");
    return formatUtf8(text);
  };
  gateway = await startGateway({ ...bench.gatewayOptions, readFile, readSealedArtifacts: () => [] });
});
afterEach(async () => {
  await gateway.close();
  bench.remove();
  await ledger.close();
});

/** The files of a new certificate of the gateway. */
function renewed(): TestCertificate {
  const next = own();
  files.set("cert", next.cert).set("key", next.key);
  return next;
}

function refreshed(): Promise<void> {
  return bench.world.advance(REFRESH_SECONDS * 1000);
}

/** What a listener shows to a new connection. */
async function shownBy(url: string | undefined): Promise<string> {
  const { hostname, port } = new URL(url ?? "");
  const socket = connect({ host: hostname, port: Number(port), ca: servers.cert });
  await once(socket, "secureConnect");
  const shown = socket.getPeerX509Certificate()?.fingerprint256 ?? "";
  socket.destroy();
  return shown;
}

function fingerprint({ cert }: TestCertificate): string {
  return new X509Certificate(cert).fingerprint256;
}

/** @returns status and reason of a ping */
function ping(agent: Agent): Promise<readonly [number, string | undefined]> {
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json", Accept: "application/json, text/event-stream" };
    const sent = request(`${gateway.url}/mcp`, { method: "POST", agent, headers }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        body += chunk;
      });
      answer.on("end", () => resolve([answer.statusCode ?? 0, /"reason":"([a-z.-]+)"/u.exec(body)?.[1]]));
    });
    sent.on("error", reject);
    sent.end('{"jsonrpc":"2.0","id":1,"method":"ping"}');
  });
}

function agentWith({ cert, key }: TestCertificate): Agent {
  return new Agent({ ca: servers.cert, cert, key, keepAlive: true, maxSockets: 1 });
}

describe("certificate files of a listener", () => {
  it("are shown once they were renewed, by the agents' listener and by the webhook", async () => {
    const next = renewed();
    expect(await shownBy(gateway.url)).not.toBe(fingerprint(next));
    await refreshed();
    expect(await shownBy(gateway.url)).toBe(fingerprint(next));
    expect(await shownBy(gateway.admissionUrl)).toBe(fingerprint(next));
  });

  it("stay as they were while what is there cannot be used, and say so", async () => {
    const before = await shownBy(gateway.url);
    const next = own();
    files.set("cert", next.cert);
    await refreshed();
    files.delete("cert");
    await refreshed();
    files.set("cert", "-----BEGIN CERTIFICATE-----");
    await refreshed();
    expect(await shownBy(gateway.url)).toBe(before);
    const alarm = "error the certificate files of a listener cannot be used; those from before stay";
    expect(bench.log.filter((line) => line === alarm)).toHaveLength(6);
    files.set("cert", next.cert).set("key", next.key);
    await refreshed();
    expect(await shownBy(gateway.url)).toBe(fingerprint(next));
  });

  it("change whose certificates are taken: an authority that went counts no more, on open connections too", async () => {
    const [first, second] = [agentWith(svid(firstRoot)), agentWith(svid(secondRoot))];
    const taken = (await ping(first))[1];
    expect(taken).not.toBe("auth.certificate");
    expect(await ping(second)).toEqual([401, "auth.certificate"]);
    second.destroy();
    files.set("bundle", secondRoot.cert);
    await refreshed();
    expect(await ping(first)).toEqual([401, "auth.certificate"]);
    // The handshake asks for the authorities that are trusted now, so a new connection is needed.
    const again = agentWith(svid(secondRoot));
    expect((await ping(again))[1]).toBe(taken);
    first.destroy();
    again.destroy();
  });

  it("are not read any more once the gateway has closed", async () => {
    await gateway.close();
    files.clear();
    await refreshed();
    expect(bench.log.filter((line) => line.startsWith("error the certificate"))).toEqual([]);
  });
});
