import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuditedLog } from "../support/audited-log.ts";
import { type AuditedNode, readAnswer, startNode } from "../support/audited-node.ts";
import { ANSWERS_OF_OTHERS, answersToTricks } from "../support/path-tricks.ts";
import { sendRaw, statusesOf } from "../support/raw-http.ts";

const TOKEN = "t".repeat(40);
const QUERY = JSON.stringify({ query: "{ ledgers { name } }" });
let node: AuditedNode;
let open: AuditedNode;

beforeAll(async () => {
  node = await startNode({ main: new AuditedLog().publish() }, { readers: [TOKEN], limits: { max_concurrent: 1 } });
  open = await startNode({ main: new AuditedLog().publish() });
});
afterAll(async () => {
  await node.remove();
  await open.remove();
});

/** Status and code of what POST /graphql answers. */
async function codeOfPost(
  body: string | Uint8Array,
  headers: Record<string, string> = {},
  to: AuditedNode = open,
): Promise<readonly [number, string | undefined]> {
  const { status, errors } = await readAnswer(await to.post(body, headers));
  return [status, errors[0]?.code];
}

describe("an address that another process has", () => {
  it("is a fault of the start with a code", async () => {
    const port = Number(new URL(open.url).port);
    const started = startNode({ main: new AuditedLog().publish() }, { port });
    await expect(started).rejects.toMatchObject({ code: "ERR_SERVICE_START" });
  });
});

describe("POST /graphql", () => {
  it("wants the token where one is configured", async () => {
    expect(await codeOfPost(QUERY, {}, node)).toEqual([401, "ERR_TOKEN"]);
    expect(await codeOfPost(QUERY, { authorization: `Bearer ${TOKEN}x` }, node)).toEqual([401, "ERR_TOKEN"]);
    expect(await codeOfPost(QUERY, { authorization: TOKEN }, node)).toEqual([401, "ERR_TOKEN"]);
    expect(await codeOfPost(QUERY, { authorization: `Bearer ${TOKEN}` }, node)).toEqual([200, undefined]);
  });

  it.each([
    ["malformed JSON", '{"query":', {}, 400, "ERR_JSON_SYNTAX"],
    ["no body", "", {}, 400, "ERR_JSON_SYNTAX"],
    ["duplicate members", '{"query":"{ a }","query":"{ b }"}', {}, 400, "ERR_JSON_DUPLICATE_KEY"],
    ["unknown members", '{"query":"{ __typename }","more":1}', {}, 400, "ERR_SHAPE"],
    ["no query", '{"variables":{}}', {}, 400, "ERR_SHAPE"],
    ["a batch", "[]", {}, 400, "ERR_SHAPE"],
    ["invalid UTF-8", Uint8Array.of(0x22, 0xff, 0x22), {}, 400, "ERR_UTF8"],
    ["a body of 10 MB", "x".repeat(10_000_000), {}, 413, "ERR_BODY_SIZE"],
    ["another content type", QUERY, { "content-type": "text/plain" }, 415, "ERR_CONTENT_TYPE"],
    ["a form", "query=1", { "content-type": "application/x-www-form-urlencoded" }, 415, "ERR_CONTENT_TYPE"],
  ])("answers %s with a code", async (_name, body, headers, status, code) => {
    expect(await codeOfPost(body, headers)).toEqual([status, code]);
    expect((await open.ask("{ ledgers { name } }")).errors).toEqual([]);
  });

  it("answers no page whose own name was made to lead here", async () => {
    const { port } = new URL(open.url);
    const { request } = await import("node:http");
    const status = await new Promise<number | undefined>((resolve) => {
      const headers = { host: `evil.example:${port}`, "content-type": "application/json" };
      request({ host: "127.0.0.1", port, path: "/graphql", method: "POST", headers }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      }).end(QUERY);
    });
    expect(status).toBe(421);
  });

  it("is not there for GET, which links and images can send", async () => {
    const answer = await fetch(`${open.url}/graphql?query={ledgers{name}}`);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error: { code: "ERR_NOT_FOUND" } });
  });
});

describe("the other routes", () => {
  it("tell health, readiness and metrics", async () => {
    await open.untilState("main", "FOLLOWING");
    expect(await (await fetch(`${open.url}/healthz`)).json()).toEqual({ status: "ok" });
    expect(await (await fetch(`${open.url}/readyz`)).json()).toEqual({ ready: true, ledgers: { main: "following" } });
    const metrics = await (await fetch(`${open.url}/metrics`)).text();
    expect(metrics).toContain('auditor_indexed_entries{ledger="main"} 1');
    expect(metrics).toContain('auditor_ledger_followed{ledger="main"} 1');
  });

  it("serve the console and its modules under a policy without inline script and without other hosts", async () => {
    const page = await fetch(`${open.url}/`);
    expect(page.status).toBe(200);
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/u);
    const html = await page.text();
    const parts = [...html.matchAll(/(?:src|href)="([^"]+)"/gu)].map(([, path = ""]) => path);
    expect(parts.length).toBeGreaterThan(1);
    for (const path of parts) expect((await fetch(`${open.url}${path}`)).status, path).toBe(200);
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style|\son[a-z]+=|\sstyle=/u);
  });

  it("answer everything else with a code", async () => {
    for (const path of ["/nothing", "/console/../start.ts", "/console/%2e%2e/config.ts", "/graphql/x"]) {
      const answer = await fetch(`${open.url}${path}`);
      expect([answer.status, await answer.json()]).toMatchObject([404, { error: { code: "ERR_NOT_FOUND" } }]);
    }
  });

  it("answer targets that mean another place than they name, and bytes that are not HTTP, with a code", async () => {
    // A target without a path is the root's, whose page is for everybody.
    expect(await answersToTricks(open.url)).toEqual({ ...ANSWERS_OF_OTHERS, "no path": [200, ""] });
    const noHttp = await sendRaw(open.url, "\u0016\u0003\u0001\r\n\r\n");
    expect([statusesOf(noHttp), noHttp]).toEqual([[400], expect.stringContaining('{"error":{"code":"ERR_REQUEST"')]);
    const large = await sendRaw(open.url, `GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(100_000)}\r\n\r\n`);
    expect([statusesOf(large), large]).toEqual([[431], expect.stringContaining('{"error":{"code":"ERR_REQUEST"')]);
    expect((await open.ask("{ ledgers { name } }")).errors).toEqual([]);
  });
});
