/** TLS toward servers, over real connections: keys, SPIFFE ids, authorities; and what a sealed artifact makes of another one. */

import { X509Certificate } from "node:crypto";
import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it, vi } from "vitest";
import { sha256 } from "#crypto";
import { parseCatalog, pinFirstUse } from "../../gateway/catalog/catalog-file.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { parseBundle } from "../../gateway/policy/bundle.ts";
import { type GatewayRun, openRun } from "../../gateway/run.ts";
import type { ServerTls, ServerTlsConfig } from "../../gateway/upstream/server-tls.ts";
import { connectUpstream, type Upstream, type UpstreamReply } from "../../gateway/upstream/upstream.ts";
import { upstreamConfigShape } from "../../gateway/upstream/upstream-config.ts";
import { formatBase64 } from "../../kernel/base64.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { type PolicyArtifactBody, type SealedIdentity, sealArtifact } from "../../kernel/policy-artifact.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { issue, type TestCertificate } from "../support/certificates.ts";
import { codeFrom, codeOf } from "../support/code-of.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { callOf, type GatewayBench, ofKind, readStream } from "../support/gateway-run.ts";
import { upstreamDeps } from "../support/mcp-gateway.ts";
import { answerAsModern, type ScriptedServer, sendJson, startScriptedServer } from "../support/mcp-scripted.ts";
import { artifactBody, SEAL_RULE, SEALERS } from "../support/policy-artifact.ts";
import { bundleFiles } from "../support/policy-request.ts";

const benches = gatewayBenches("server-tls");
const [alice, bob] = SEALERS;

const ROOT = issue({ subject: ["CN=root"], isAuthority: true });
const OTHER_ROOT = issue({ subject: ["CN=other root"], isAuthority: true });
const NAMES = ["IP:127.0.0.1"];
const SERVER = issue({ subject: ["CN=server"], names: NAMES }, ROOT);
const SUCCESSOR = issue({ subject: ["CN=server"], names: NAMES }, ROOT);
const ID = "spiffe://example.org/tools/files";
const SVID = issue({ subject: ["O=SPIFFE"], names: [`URI:${ID}`] }, ROOT);
const OTHER_SVID = issue({ subject: ["O=SPIFFE"], names: ["URI:spiffe://example.org/tools/mail"] }, ROOT);

const open: { close: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const item of open.splice(0).reverse()) await item.close();
});

function spkiOf({ cert }: TestCertificate): string {
  const { publicKey } = new X509Certificate(cert);
  return formatHex(sha256(new Uint8Array(publicKey.export({ type: "spki", format: "der" }))));
}

/** A server that keeps one call waiting, if the test wants it. */
interface HeldServer extends ScriptedServer {
  /** Holds the next call until the returned function is called. */
  readonly hold: () => () => void;
  /** Resolves when that call is there. */
  readonly holding: () => Promise<void>;
}

async function serve(shown: TestCertificate): Promise<HeldServer> {
  let next: { readonly released: Promise<void>; readonly arrived: () => void } | undefined;
  let holding: Promise<void> = Promise.resolve();
  const answer = (id: number | undefined, response: ServerResponse): void =>
    sendJson(response, { jsonrpc: "2.0", id, result: { resultType: "complete", content: [] } });
  const server = await startScriptedServer((message, response) => {
    if (answerAsModern(message, response)) return;
    const held = next;
    next = undefined;
    if (held === undefined) return answer(message.id, response);
    held.arrived();
    void held.released.then(() => answer(message.id, response));
  }, shown);
  open.push(server);
  const hold = (): (() => void) => {
    const [released, release] = promise();
    const [arrival, arrived] = promise();
    next = { released, arrived };
    holding = arrival;
    return release;
  };
  return { ...server, hold, holding: () => holding };
}

function promise(): readonly [Promise<void>, () => void] {
  let done = (): void => undefined;
  const settled = new Promise<void>((resolve) => {
    done = resolve;
  });
  return [settled, () => done()];
}

const files: Record<string, string> = { root: ROOT.cert, other: OTHER_ROOT.cert };

async function connectTo({ url }: ScriptedServer, tls?: ServerTlsConfig): Promise<Upstream> {
  const readFile = (path: string): Uint8Array => formatUtf8(files[path] ?? "");
  const own = tls === undefined ? {} : { tls };
  const upstream = await connectUpstream(
    { transport: "http", id: "s", url, attributes: {}, ...own },
    { ...upstreamDeps([]), readFile },
  );
  open.push(upstream);
  return upstream;
}

async function outcomeOf(upstream: Upstream): Promise<unknown> {
  const reply = await callTool(upstream);
  return reply.type === "failed" ? [reply.effect, reply.reason] : reply.type;
}

function callTool(upstream: Upstream): Promise<UpstreamReply> {
  const id = upstream.nextId();
  return upstream.request({
    id,
    method: "tools/call",
    headers: { "Mcp-Method": "tools/call", "Mcp-Name": "t" },
    bytes: formatUtf8(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t"}}`),
    signal: new AbortController().signal,
  });
}

describe("a server over TLS", () => {
  it.each<readonly [string, TestCertificate, ServerTlsConfig]>([
    ["an authority that the configuration names", SERVER, { ca_file: "root" }],
    ["the key that it names", SERVER, { ca_file: "root", spki: [spkiOf(SUCCESSOR), spkiOf(SERVER)] }],
    ["the SPIFFE id that it names, without a host name", SVID, { spiffe_id: ID, spiffe_bundle_file: "root" }],
  ])("is called with %s", async (_, shown, tls) => {
    const upstream = await connectTo(await serve(shown), tls);
    expect(await outcomeOf(upstream)).toBe("answered");
    expect((await upstream.listSurface()).tools).toHaveLength(1);
  });

  it.each<readonly [string, TestCertificate, ServerTlsConfig | undefined]>([
    ["an authority that nobody trusts", SERVER, undefined],
    ["another authority", SERVER, { ca_file: "other" }],
    ["another key", SERVER, { ca_file: "root", spki: [spkiOf(SUCCESSOR)] }],
    ["no name for its host", SVID, { ca_file: "root" }],
    ["another SPIFFE id", OTHER_SVID, { spiffe_id: ID, spiffe_bundle_file: "root" }],
    ["an id of another domain's authority", SVID, { spiffe_id: ID, spiffe_bundle_file: "other" }],
    ["no SPIFFE id", SERVER, { spiffe_id: ID, spiffe_bundle_file: "root" }],
  ])("is not called with %s, and gets no byte of a request", async (_, shown, tls) => {
    const server = await serve(shown);
    expect(await codeFrom(connectTo(server, tls))).toBe("ERR_UPSTREAM");
    expect(server.messages).toEqual([]);
  });

  it("is checked whatever the environment says of certificates", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    try {
      for (const tls of [{ ca_file: "other" }, { ca_file: "root", spki: [spkiOf(SUCCESSOR)] }]) {
        const server = await serve(SERVER);
        expect(await codeFrom(connectTo(server, tls))).toBe("ERR_UPSTREAM");
        expect(server.messages).toEqual([]);
      }
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it("that shows another key on a later connection is refused, and nothing was sent", async () => {
    const server = await serve(SERVER);
    const upstream = await connectTo(server, { ca_file: "root" });
    const others: string[] = [];
    tlsOf(upstream).bind({ spki: [spkiOf(SERVER)] }, (why) => others.push(why));
    expect(await outcomeOf(upstream)).toBe("answered");
    server.show(SUCCESSOR);
    // The connection that is open was checked, and goes on; another one is not taken.
    expect(await besideHeld(server, upstream, () => outcomeOf(upstream))).toEqual(["none", "server.identity-changed"]);
    expect(others).toHaveLength(1);
    // With another rule the open connection is cut, and a new one is made.
    tlsOf(upstream).bind({ spki: [spkiOf(SUCCESSOR)] }, (why) => others.push(why));
    expect(await outcomeOf(upstream)).toBe("answered");
    tlsOf(upstream).bind({ spki: [spkiOf(SERVER)] }, (why) => others.push(why));
    const before = server.messages.length;
    expect(await outcomeOf(upstream)).toEqual(["none", "server.identity-changed"]);
    expect(server.messages).toHaveLength(before);
    expect(others).toHaveLength(2);
  });

  it("is trusted by the files as they are at each connection; those that cannot be used change nothing", async () => {
    const server = await serve(SERVER);
    files["renewed"] = ROOT.cert;
    const upstream = await connectTo(server, { ca_file: "renewed" });
    const reconnect = (): void => tlsOf(upstream).bind({ spki: [] }, () => undefined);
    const takeAny = (): void => tlsOf(upstream).bind({}, () => undefined);
    const afresh = (): Promise<unknown> => {
      reconnect();
      takeAny();
      return outcomeOf(upstream);
    };
    files["renewed"] = "no certificate";
    expect(await afresh()).toBe("answered");
    files["renewed"] = OTHER_ROOT.cert;
    expect(await afresh()).not.toBe("answered");
    files["renewed"] = ROOT.cert;
    expect(await afresh()).toBe("answered");
  });

  it("is looked at anew by a handshake of its own", async () => {
    const server = await serve(SERVER);
    const upstream = await connectTo(server, { ca_file: "root" });
    const look = () => tlsOf(upstream).look(server.url, 5_000);
    expect(await look()).toEqual({ type: "seen", peer: { spki: spkiOf(SERVER), spiffeId: undefined } });
    server.show(SUCCESSOR);
    expect(await look()).toMatchObject({ peer: { spki: spkiOf(SUCCESSOR) } });
    server.show(SVID);
    expect(await look()).toMatchObject({ type: "refused" });
    for (const item of open.splice(0).reverse()) await item.close();
    expect(await look()).toEqual({ type: "unreachable" });
  });

  it.each<readonly [string, JsonObject]>([
    ["an id without its bundle", { spiffe_id: ID }],
    ["a bundle without an id", { spiffe_bundle_file: "root" }],
    ["two kinds of authorities", { spiffe_id: ID, spiffe_bundle_file: "root", ca_file: "root" }],
    ["a certificate without its key", { cert_file: "root" }],
    ["something that is no SPIFFE id", { spiffe_id: "spiffe://example.org", spiffe_bundle_file: "root" }],
    ["something that is no hash", { spki: ["ab"] }],
  ])("is not configured with %s", (_, tls) => {
    expect(codeOf(() => upstreamConfigShape.read({ id: "s", url: "https://s.example/mcp", tls }, "server"))).toBe(
      "ERR_SHAPE",
    );
  });

  it("without TLS has no key to name", () => {
    const server = { id: "s", url: "http://s.example/mcp", tls: { spki: ["ab".repeat(32)] } };
    expect(codeOf(() => upstreamConfigShape.read(server, "server"))).toBe("ERR_SHAPE");
  });
});

function tlsOf({ tls }: Upstream): Pick<ServerTls, "bind" | "look"> {
  if (tls === undefined) throw new Error("the server is not called over TLS");
  return tls;
}

const FILES = bundleFiles('@id("t") permit (principal, action == Mcp::Action::"s/t", resource);');
const HOUR_MS = 3_600_000;

/** A gateway before a real server, bound by an artifact that names what the server must be. */
async function bound(
  server: ScriptedServer,
  upstream: Upstream,
  sealed: Partial<SealedIdentity & { kind: "http" }>,
): Promise<{ bench: GatewayBench; body: PolicyArtifactBody }> {
  const { id, identity, attributes } = upstream;
  const surface = await upstream.listSurface();
  const { digest, version } = parseBundle(FILES);
  const { code: _, sbom: __, baseline: ___, ...rest } = artifactBody();
  const now = 1_790_000_000_000;
  const body: PolicyArtifactBody = {
    ...rest,
    not_before: formatTimestamp(now - HOUR_MS),
    not_after: formatTimestamp(now + HOUR_MS),
    policy: { digest, version },
    catalog: digestOf(parseCatalog(pinFirstUse([{ id, identity, attributes, surface }]))),
    subjects: [{ principal: "local|example-agent" }],
    tools: ["s/t"],
    workflows: [],
    upstreams: [{ server: "s", identity: { kind: "http", url: server.url, ...sealed } }],
  };
  const signers = SEAL_RULE.signers.map(({ name, key }) => ({ name, key: formatPublicKey(key) }));
  const artifact: JsonObject = { file: "unused", gateway: "support-eu", signers, threshold: 2, remeasure_seconds: 60 };
  const made = benches.make({
    config: { artifact, servers: [{ id: "s", url: server.url }] },
    policyFiles: FILES,
  });
  const { gatewayOptions } = made;
  const world = { ...gatewayOptions.world, connect: async () => upstream };
  const options = { ...gatewayOptions, artifactFile: seal(body), world };
  return { bench: { ...made, gatewayOptions: options, open: () => openRun(options) }, body };
}

const seal = (body: PolicyArtifactBody): Uint8Array => sealArtifact(body, [alice.signer, bob.signer]);

/** As the edge does it: decided, sent, ended. */
async function callThrough(run: GatewayRun, upstream: Upstream): Promise<unknown> {
  const decided = await run.pipeline.decide(callOf("t", {}));
  if (decided.action !== "forward") return decided.action === "refuse" ? decided.refusal.reason : decided.action;
  const reply = await callTool(upstream);
  const failed = reply.type === "failed" ? reply : undefined;
  await run.pipeline.finish(decided.ticket, {
    status: failed?.status ?? "ok",
    effect: failed?.effect ?? "done",
    ...(failed === undefined ? {} : { reason: failed.reason }),
    upstreamUs: 1,
    uninspectedBytes: 0,
    ...(reply.type === "answered" ? { received: reply.bytes, returned: reply.bytes } : {}),
  });
  return failed?.reason ?? "answered";
}

describe("a sealed artifact that names a server's key", () => {
  it("refuses the start before a server with another one", async () => {
    const server = await serve(SERVER);
    const upstream = await connectTo(server, { ca_file: "root" });
    const { bench } = await bound(server, upstream, { spki: [spkiOf(SUCCESSOR)] });
    expect(await codeFrom(bench.open())).toBe("ERR_ARTIFACT_MISMATCH");
  });

  it("holds each connection to it: another key ends the call, halts the run, and only a renewal ends that", async () => {
    const server = await serve(SERVER);
    const upstream = await connectTo(server, { ca_file: "root" });
    const { bench, body } = await bound(server, upstream, { spki: [spkiOf(SERVER)] });
    const run = await benches.open(bench);
    expect(await callThrough(run, upstream)).toBe("answered");
    server.show(SUCCESSOR);
    expect(await besideHeld(server, upstream, () => callThrough(run, upstream))).toBe("server.identity-changed");
    expect(run.status()).toMatchObject({ ready: false, safe_state: "measurement.mismatch" });
    expect(await callThrough(run, upstream)).toBe("measurement.mismatch");
    expect(await codeFrom(run.reloadPolicy(renewal({ ...body, version: 2 })))).toBe("ERR_ARTIFACT_MISMATCH");
    await run.reloadPolicy(renewal({ ...body, version: 3, upstreams: keys(body, SUCCESSOR) }));
    expect(run.status()).toMatchObject({ ready: true, artifact: { version: 3 } });
    expect(await callThrough(run, upstream)).toBe("answered");
    const receipts = await readStream(bench.folder, run.status().stream);
    expect(ofKind(receipts, "outcome").map(({ outcome }) => [outcome.status, outcome.effect])).toEqual([
      ["ok", "done"],
      ["upstream_error", "none"],
      ["ok", "done"],
    ]);
    expect(ofKind(receipts, "operator-action").map(({ action, reason }) => [action, reason])).toEqual([
      ["safe-state-on", "measurement.mismatch"],
      ["safe-state-off", "measurement.mismatch"],
    ]);
  });

  it("is measured again on a cycle, by a handshake of its own", async () => {
    const server = await serve(SERVER);
    const upstream = await connectTo(server, { ca_file: "root" });
    const { bench } = await bound(server, upstream, { spki: [spkiOf(SERVER)] });
    const run = await benches.open(bench);
    server.show(SUCCESSOR);
    const halted = vi.waitFor(() => expect(run.status().safe_state).toBe("measurement.mismatch"), 10_000);
    await bench.world.advance(60_000);
    await halted;
  });

  it("refuses the start before a server without TLS", async () => {
    const plain = await startScriptedServer((message, response) => void answerAsModern(message, response));
    open.push(plain);
    const upstream = await connectTo(plain);
    const { bench } = await bound(plain, upstream, { spki: [spkiOf(SERVER)] });
    expect(await codeFrom(bench.open())).toBe("ERR_ARTIFACT_MISMATCH");
  });
});

/** While a call keeps the open connection, `work` needs another one. */
async function besideHeld<T>(server: HeldServer, upstream: Upstream, work: () => Promise<T>): Promise<T> {
  const release = server.hold();
  const held = callTool(upstream);
  await server.holding();
  const done = await work();
  release();
  expect((await held).type).toBe("answered");
  return done;
}

function keys(body: PolicyArtifactBody, ...certificates: readonly TestCertificate[]): PolicyArtifactBody["upstreams"] {
  return body.upstreams.map(({ server, identity }) => ({
    server,
    identity: identity.kind === "http" ? { ...identity, spki: certificates.map(spkiOf).sort() } : identity,
  }));
}

function renewal(body: PolicyArtifactBody): Uint8Array {
  return formatUtf8(JSON.stringify({ artifact: formatBase64(seal(body)) }));
}
