import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ALICE, BOB, httpServer, startTestGateway, type TestGateway } from "../support/mcp-gateway.ts";
import { goodHeaders, open, type RawAnswer, readAnswer, sendRaw } from "../support/mcp-raw.ts";
import { type CountingServer, startCountingServer } from "../support/mcp-server.ts";

const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const META =
  '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}';
const INITIALIZE =
  '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}';

function modern(method: string, params = "", id = "1"): string {
  return `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{${params === "" ? "" : `${params},`}${META}}}`;
}

function mirrored(method: string, name?: string): Record<string, string | undefined> {
  return {
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": method,
    ...(name === undefined ? {} : { "Mcp-Name": name }),
  };
}

let server: CountingServer;
let gateway: TestGateway;

beforeAll(async () => {
  server = await startCountingServer("modern");
  gateway = await startTestGateway([httpServer("counting", server.url)], {
    allowedHosts: ["gateway.example"],
    allowedOrigins: ["https://app.example"],
  });
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

/** Sends, and expects a refusal with this status and reason, named by its receipt. */
async function expectRefusal(
  options: Parameters<typeof sendRaw>[1],
  status: number,
  reason: string,
): Promise<RawAnswer> {
  const before = gateway.pipeline.refusals.length;
  const answer = await sendRaw(gateway.url, options);
  expect([answer.status, answer.json?.error?.data.reason]).toEqual([status, reason]);
  expect(answer.headers["content-type"]).toBe("application/json");
  expect(gateway.pipeline.refusals.slice(before).map((refusal) => refusal.reason)).toEqual([reason]);
  expect(answer.headers["countersign-receipt"]).toMatch(/^(?:ab){32}\/\d+$/u);
  return answer;
}

describe("the checks in front of a body", () => {
  it("refuse another host, and take the configured one", async () => {
    await expectRefusal({ headers: { Host: "evil.example" }, body: LIST }, 403, "http.host");
    const port = new URL(gateway.url).port;
    await expectRefusal({ headers: { Host: `gateway.example:${port}` }, body: LIST }, 400, "session.required");
    await expectRefusal({ headers: { Host: `localhost:${port}` }, body: LIST }, 400, "session.required");
  });

  it("refuse another origin on every method and path, null included", async () => {
    await expectRefusal({ headers: { Origin: "https://evil.example" }, body: LIST }, 403, "http.origin");
    await expectRefusal({ headers: { Origin: "null" }, body: LIST }, 403, "http.origin");
    await expectRefusal({ method: "GET", path: "/x", headers: { Origin: "https://evil.example" } }, 403, "http.origin");
    await expectRefusal({ method: "OPTIONS", headers: { Origin: "https://evil.example" } }, 403, "http.origin");
  });

  it("answer a preflight of an allowed origin", async () => {
    const answer = await sendRaw(gateway.url, { method: "OPTIONS", headers: { Origin: "https://app.example" } });
    expect([answer.status, answer.headers["access-control-allow-origin"]]).toEqual([204, "https://app.example"]);
  });

  it("refuse paths that are no mounts, and methods that are not POST", async () => {
    await expectRefusal({ path: "/", body: LIST }, 404, "http.path");
    await expectRefusal({ path: "/s/other/mcp", body: LIST }, 404, "http.path");
    const answer = await expectRefusal({ method: "GET" }, 405, "http.method");
    expect(answer.headers["allow"]).toBe("POST, GET, DELETE");
    await expectRefusal({ method: "PUT", body: LIST }, 405, "http.method");
    await expectRefusal(
      { method: "GET", headers: { Authorization: undefined, "Mcp-Session-Id": "x" } },
      401,
      "auth.missing",
    );
  });

  it.each([undefined, "text/plain", "application/json; charset=latin1", "application/jsonp"])(
    "refuse the content type %s",
    async (type) => {
      await expectRefusal({ headers: { "Content-Type": type }, body: LIST }, 415, "http.content-type");
    },
  );

  it.each(["application/json", "text/event-stream", "text/html", "application/json, text/event-stream;q=0"])(
    "refuse Accept: %s",
    async (accept) => {
      await expectRefusal({ headers: { Accept: accept }, body: LIST }, 406, "http.accept");
    },
  );

  it("refuse a missing, malformed or wrong token before the body is read", async () => {
    const answer = await expectRefusal({ headers: { Authorization: undefined }, body: LIST }, 401, "auth.missing");
    expect(answer.headers["www-authenticate"]).toBe('Bearer realm="countersign"');
    for (const value of ["Basic abc", "Bearer", `Bearer ${ALICE}x`, `Bearer ${ALICE} x`, "Bearer "]) {
      await expectRefusal({ headers: { Authorization: value }, body: "{" }, 401, "auth.invalid");
    }
    // Without a byte of the body.
    const socket = await open(gateway.url);
    const head = Object.entries({ ...goodHeaders(gateway.url), Authorization: "Bearer wrong", "Content-Length": "5" });
    socket.write(`POST /mcp HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
    expect((await readAnswer(socket)).status).toBe(401);
  });

  it("refuse headers that stand twice", async () => {
    for (const line of [`Authorization: Bearer ${BOB}`, "Content-Type: application/json", "Mcp-Method: tools/list"]) {
      const twice = { lines: [line, line.startsWith("Mcp") ? line : "X-None: 1"], body: LIST };
      await expectRefusal(twice, 400, "http.header");
    }
  });

  it("answer headers above the limit with 431, and what is no HTTP with 400", async () => {
    const answer = await sendRaw(gateway.url, { headers: { "X-Long": "a".repeat(20_000) }, body: LIST });
    expect([answer.status, answer.json?.error?.data.reason]).toEqual([431, "http.headers-too-large"]);
    expect(gateway.pipeline.refusals.at(-1)?.reason).toBe("http.headers-too-large");
    const socket = await open(gateway.url);
    socket.write("this is no HTTP\r\n\r\n");
    const broken = await readAnswer(socket);
    expect([broken.status, broken.json?.error?.data.reason]).toEqual([400, "http.header"]);
  });
});

describe("what Node would refuse by itself", () => {
  const raw = async (head: string): Promise<RawAnswer> => {
    const socket = await open(gateway.url);
    socket.write(`${head}Content-Length: 0\r\nConnection: close\r\n\r\n`);
    return readAnswer(socket);
  };

  it.each([
    ["a request without a Host", "POST /mcp HTTP/1.1\r\n", 403, "http.host"],
    ["an expectation", "POST /mcp HTTP/1.1\r\nHost: localhost\r\nExpect: 200-maybe\r\n", 417, "http.header"],
    ["a tunnel", "CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n", 405, "http.method"],
  ] as const)("is refused with a reason and a receipt: %s", async (_what, head, status, reason) => {
    const before = gateway.pipeline.refusals.length;
    const answer = await raw(head);
    expect([answer.status, answer.json?.error?.data.reason]).toEqual([status, reason]);
    expect(gateway.pipeline.refusals.slice(before).map((one) => one.reason)).toEqual([reason]);
    expect(answer.headers["countersign-receipt"]).toMatch(/^(?:ab){32}\/\d+$/u);
  });
});

describe("bodies", () => {
  it("above the limit are answered with 413, announced or not, also at 10 MB", async () => {
    const large = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"a":"${"a".repeat(10_000_000)}"}}`;
    await expectRefusal({ body: large }, 413, "json.size");
    const size = (4 * 1024 * 1024 + 1).toString(16);
    const chunked = `${size}\r\n${" ".repeat(4 * 1024 * 1024 + 1)}\r\n0\r\n\r\n`;
    const headers = { "Content-Length": undefined, "Transfer-Encoding": "chunked" };
    await expectRefusal({ headers, body: chunked }, 413, "json.size");
  });

  it("that do not come are answered with 408", async () => {
    const impatient = await startTestGateway([httpServer("counting", server.url)], { limits: { bodyMs: 50 } });
    const answer = await sendRaw(impatient.url, { headers: { "Content-Length": "100" }, body: "{" });
    expect([answer.status, answer.json?.error?.data.reason]).toEqual([408, "http.body"]);
    expect(impatient.pipeline.refusals).toMatchObject([{ reason: "http.body", caller: { name: "alice" } }]);
    await impatient.close();
  });

  it.each([
    ["", "json.syntax"],
    ["{", "json.syntax"],
    ["\ufeff{}", "json.bom"],
    ['{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', "json.duplicate-key"],
    ['{"jsonrpc":"2.0","id":1,"Method":"ping"}', "json.reserved-alias"],
    [`[${LIST}]`, "json.shape"],
    ['{"jsonrpc":"1.0","id":1,"method":"ping"}', "rpc.version"],
    ['{"jsonrpc":"2.0","id":null,"method":"ping"}', "rpc.id"],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\ud800"}}', "json.surrogate"],
  ])("%s are answered with 400 and %s, and no id", async (body, reason) => {
    const answer = await expectRefusal({ body }, 400, reason);
    expect(answer.body).not.toContain('"id"');
    expect(gateway.pipeline.refusals.at(-1)?.received).toEqual(new Uint8Array(Buffer.from(body)));
  });

  it("that are a response to nothing are refused", async () => {
    await expectRefusal({ body: '{"jsonrpc":"2.0","id":1,"result":{}}' }, 400, "rpc.shape");
  });
});

describe("modern requests", () => {
  it("are refused when a header is missing or differs", async () => {
    const body = modern("tools/call", '"name":"echo","arguments":{"message":"x"}');
    await expectRefusal({ body }, 400, "http.header-missing");
    const headers = mirrored("tools/call", "echo");
    await expectRefusal({ body, headers: { ...headers, "Mcp-Name": "remove" } }, 400, "http.header-mismatch");
    await expectRefusal({ body, headers: { ...headers, "Mcp-Name": "=?base64?!?=" } }, 400, "http.header");
    await expectRefusal(
      { body, headers: { ...headers, "MCP-Protocol-Version": "2025-11-25" } },
      400,
      "http.header-mismatch",
    );
    expect(server.calls.get("echo") ?? 0).toBe(0);
    expect((await sendRaw(gateway.url, { body, headers })).status).toBe(200);
    expect(server.calls.get("echo")).toBe(1);
  });

  it("get 404 for methods that were removed, and for those that never were", async () => {
    for (const method of ["ping", "initialize", "logging/setLevel", "tasks/list", "resources/subscribe"]) {
      const answer = await expectRefusal(
        { body: modern(method), headers: mirrored(method) },
        404,
        "mcp.method-removed",
      );
      expect(answer.json?.error?.code).toBe(-32601);
    }
    await expectRefusal({ body: modern("vendor/x"), headers: mirrored("vendor/x") }, 404, "mcp.method-unknown");
    await expectRefusal(
      { body: modern("subscriptions/listen"), headers: mirrored("subscriptions/listen") },
      200,
      "rpc.shape",
    );
    const body = modern("tasks/get", '"taskId":"t"');
    const answer = await expectRefusal({ body, headers: mirrored("tasks/get", "t") }, 400, "mcp.capability-missing");
    expect(answer.json?.error?.code).toBe(-32021);
  });

  it("name what is served when they ask for another version", async () => {
    const body = LIST.replace("}", ',"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2099-01-01"}}}');
    const answer = await expectRefusal({ body }, 400, "mcp.version-unsupported");
    expect(answer.json?.error).toMatchObject({
      code: -32022,
      data: { supported: ["2026-07-28"], requested: "2099-01-01" },
    });
  });

  it("keep the spelling of their id", async () => {
    for (const id of ["1", '"1"', '"\\u0031"', "-0"]) {
      const answer = await sendRaw(gateway.url, {
        body: modern("tools/list", "", id),
        headers: mirrored("tools/list"),
      });
      expect(answer.body).toContain(`"id":${id},`);
    }
  });

  it("for a hidden tool and for one that does not exist get the same answer", async () => {
    const body = modern("tools/call", '"name":"nothing","arguments":{}');
    const answer = await expectRefusal({ body, headers: mirrored("tools/call", "nothing") }, 200, "name.unknown");
    expect(answer.json?.error?.code).toBe(-32602);
  });

  it("may not name an argument that only looks like a declared one", async () => {
    const body = modern("tools/call", '"name":"echo","arguments":{"message":"x","Message":"y"}');
    await expectRefusal({ body, headers: mirrored("tools/call", "echo") }, 400, "json.case-collision");
    const alone = modern("tools/call", '"name":"echo","arguments":{"MESSAGE":"y"}');
    const before = server.calls.get("echo");
    await expectRefusal({ body: alone, headers: mirrored("tools/call", "echo") }, 200, "args.case-alias");
    expect(server.calls.get("echo")).toBe(before);
  });

  it("cancel nothing by a notification, and may send no other", async () => {
    const headers = { "MCP-Protocol-Version": "2026-07-28" };
    const cancelled = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}';
    expect((await sendRaw(gateway.url, { body: cancelled, headers })).status).toBe(202);
    const progress = '{"jsonrpc":"2.0","method":"notifications/progress","params":{}}';
    await expectRefusal({ body: progress, headers }, 400, "mcp.notification-refused");
  });
});

describe("legacy sessions", () => {
  const initialize = async (): Promise<string> => {
    const answer = await sendRaw(gateway.url, { body: INITIALIZE });
    return answer.headers["mcp-session-id"] ?? "";
  };

  it("have 128 random bits, and are asked for", async () => {
    expect(await initialize()).toMatch(/^[A-Za-z0-9_-]{22}$/u);
    await expectRefusal({ body: LIST }, 400, "session.required");
    await expectRefusal({ body: LIST, headers: { "Mcp-Session-Id": "a".repeat(22) } }, 404, "session.unknown");
    const malformed = INITIALIZE.replace('"capabilities":{},', "");
    await expectRefusal({ body: malformed }, 200, "rpc.shape");
  });

  it("agree on the client's revision if we speak it, else on our newest", async () => {
    for (const [asked, agreed] of [
      ["2025-11-25", "2025-11-25"],
      ["2025-06-18", "2025-06-18"],
      ["2025-03-26", "2025-03-26"],
      ["2024-11-05", "2025-11-25"],
      ["2026-07-28", "2025-11-25"],
    ] as const) {
      const answer = await sendRaw(gateway.url, { body: INITIALIZE.replace("2025-11-25", asked) });
      expect(answer.body).toContain(`"protocolVersion":"${agreed}"`);
    }
  });

  it("are another caller's like one that never was, and the receipt knows better", async () => {
    const id = await initialize();
    const headers = { "Mcp-Session-Id": id, Authorization: `Bearer ${BOB}` };
    const answer = await sendRaw(gateway.url, { body: LIST, headers });
    expect([answer.status, answer.json?.error?.data.reason]).toEqual([404, "session.unknown"]);
    expect(gateway.pipeline.refusals.at(-1)?.reason).toBe("session.foreign");
    const ended = await sendRaw(gateway.url, { method: "DELETE", headers });
    expect(ended.status).toBe(404);
    expect((await sendRaw(gateway.url, { body: LIST, headers: { "Mcp-Session-Id": id } })).status).toBe(200);
  });

  it("end with DELETE", async () => {
    const headers = { "Mcp-Session-Id": await initialize() };
    expect((await sendRaw(gateway.url, { method: "DELETE", headers })).status).toBe(204);
    await expectRefusal({ body: LIST, headers }, 404, "session.unknown");
    await expectRefusal({ method: "DELETE", headers }, 404, "session.unknown");
  });

  it("refuse a stream of a session that is not there, and of an event that is none of the session's", async () => {
    const accept = { Accept: "text/event-stream" };
    await expectRefusal({ method: "GET", headers: { ...accept, "Mcp-Session-Id": "x" } }, 404, "session.unknown");
    const session = { ...accept, "Mcp-Session-Id": await initialize() };
    for (const last of ["7-1", "x", "1", ""]) {
      const headers = { ...session, "Last-Event-ID": last };
      await expectRefusal({ method: "GET", headers }, 400, "http.header");
    }
  });

  it("answer ping, refuse what is not carried, and take notifications", async () => {
    const headers = { "Mcp-Session-Id": await initialize(), "MCP-Protocol-Version": "2025-11-25" };
    const send = (method: string): Promise<RawAnswer> =>
      sendRaw(gateway.url, { body: `{"jsonrpc":"2.0","id":1,"method":"${method}"}`, headers });
    expect((await send("ping")).body).toBe('{"jsonrpc":"2.0","id":1,"result":{}}');
    expect((await send("resources/subscribe")).json?.error).toMatchObject({
      code: -32602,
      data: { reason: "rpc.shape" },
    });
    expect((await send("tasks/get")).json?.error).toMatchObject({
      code: -32601,
      data: { reason: "bridge.unsupported" },
    });
    expect((await send("server/discover")).json?.error?.code).toBe(-32601);
    const notify = (method: string): Promise<RawAnswer> =>
      sendRaw(gateway.url, { body: `{"jsonrpc":"2.0","method":"${method}"}`, headers });
    expect((await notify("notifications/initialized")).status).toBe(202);
    const before = gateway.pipeline.refusals.length;
    expect((await notify("notifications/roots/list_changed")).status).toBe(202);
    expect((await notify("notifications/message")).status).toBe(202);
    expect(gateway.pipeline.refusals.slice(before)).toMatchObject([{ reason: "mcp.notification-refused" }]);
  });
});

describe("what is logged", () => {
  it("holds no header, no body and no token", () => {
    const text = JSON.stringify(gateway.logged);
    for (const secret of [ALICE, BOB, "evil.example", "aaaaaaaaaa"]) expect(text).not.toContain(secret);
  });
});
