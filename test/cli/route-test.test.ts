/** `countersign route-test`: what answers, what wants a credential, what is silent, and what is no server of the statement. */

import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { UsageError } from "../../cli/command.ts";
import { routeTestCommand } from "../../cli/commands/route-test.ts";
import { probeRoute } from "../../cli/route-probe.ts";
import { digestOf } from "../../gateway/catalog/digests.ts";
import { captureScope } from "../../gateway/pipeline/capture-scope.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { parseRouteTest } from "../../kernel/route-test.ts";
import { issue } from "../support/certificates.ts";
import { listenOnLoopback, stopAtOnce } from "../support/loopback.ts";
import { recordIo } from "../support/recorded-io.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-route-test-"));
const stops: (() => void)[] = [];
afterAll(() => {
  for (const stop of stops) stop();
  rmSync(folder, { recursive: true, force: true });
});

async function listening(server: Server, scheme = "http"): Promise<string> {
  const port = await listenOnLoopback(server);
  stops.push(() => stopAtOnce(server));
  return `${scheme}://127.0.0.1:${port}/mcp`;
}

const answering =
  (status: number): RequestListener =>
  (_, response) =>
    response.writeHead(status).end("{}");

/** Runs the command on a statement about these servers; `asked` are the arguments `--server`. */
async function run(
  name: string,
  urls: Readonly<Record<string, string | undefined>>,
  asked: readonly string[],
): Promise<readonly [number, string, string]> {
  const servers = Object.entries(urls).map(([id, url]) => ({
    id,
    transport: url === undefined ? ("stdio" as const) : ("http" as const),
    identity: digestOf(url === undefined ? { kind: "stdio" } : { kind: "http", url }),
  }));
  const scope = captureScope({
    agents: "http",
    servers,
    keyProtection: "software",
    decidesForOthers: false,
    egress: {},
  });
  writeFileSync(join(folder, `${name}.json`), canonicalBytes(scope));
  const out = join(folder, `${name}.routes.json`);
  const recorded = recordIo();
  const args = ["--boundary", join(folder, `${name}.json`), "--from", "here", "--out", out];
  const exit = await routeTestCommand.run([...args, ...asked.flatMap((text) => ["--server", text])], recorded.io);
  const { boundary, from } = parseRouteTest(readFileSync(out));
  expect([boundary, from]).toEqual([digestOf(scope), "here"]);
  return [exit, recorded.out(), out];
}

describe("countersign route-test", () => {
  it("writes down which servers answered without the gateway, and exits 1 if one did", async () => {
    const crm = await listening(createServer(answering(200)));
    const [exit, out] = await run("one", { crm, files: undefined }, [`crm=${crm}`]);
    expect([exit, out]).toEqual([1, "crm answered\nfiles untested\n"]);
  });

  it("asks with no credential, and tells who wants one from who is silent", async () => {
    const headers: unknown[] = [];
    const crm = await listening(
      createServer((request, response) => {
        headers.push(request.headers.authorization, request.headers["mcp-method"]);
        answering(401)(request, response);
      }),
    );
    expect((await run("two", { crm }, [`crm=${crm}`])).slice(0, 2)).toEqual([1, "crm refused\n"]);
    expect(headers).toEqual([undefined, "server/discover"]);
    const gone = createServer();
    const url = await listening(gone);
    gone.close();
    await once(gone, "close");
    expect((await run("three", { crm: url }, [`crm=${url}`])).slice(0, 2)).toEqual([0, "crm silent\n"]);
  });

  it("takes an answer for one whosever certificate it comes with, and none within its time for none", async () => {
    const { key, cert } = issue({ subject: ["CN=nobody"], names: ["IP:127.0.0.1"] });
    const tls = await listening(createTlsServer({ key, cert }, answering(404)), "https");
    expect(await probeRoute(new URL(tls), 60_000)).toBe("answered");
    const mute = await listening(createServer(() => undefined));
    expect(await probeRoute(new URL(mute), 20)).toBe("silent");
  });

  it("tells a server that wants a certificate from one that is silent", async () => {
    const { key, cert } = issue({ subject: ["CN=crm"], names: ["IP:127.0.0.1"] });
    const options = { key, cert, ca: cert, requestCert: true, minVersion: "TLSv1.3" } as const;
    const wants = await listening(createTlsServer(options, answering(200)), "https");
    expect(await probeRoute(new URL(wants), 60_000)).toBe("refused");
    const takesAny = await listening(
      createTlsServer({ ...options, rejectUnauthorized: false }, answering(200)),
      "https",
    );
    expect(await probeRoute(new URL(takesAny), 60_000)).toBe("answered");
  });

  it("asks no address that the statement does not commit to", async () => {
    const crm = "http://127.0.0.1:9/mcp";
    for (const asked of [[], ["erp=http://127.0.0.1:9/mcp"], ["crm=http://127.0.0.1:9/other"], ["crm"], ["crm=x"]]) {
      await expect(run("four", { crm }, asked)).rejects.toThrow(UsageError);
    }
  });
});
