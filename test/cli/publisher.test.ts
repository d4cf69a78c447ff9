import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readRevisedFile } from "../../cli/catalog/catalog-files.ts";
import { catalogCommand } from "../../cli/commands/catalog.ts";
import { keygenCommand } from "../../cli/commands/keygen.ts";
import { publisherCommand } from "../../cli/commands/publisher.ts";
import { publishedSurface } from "../../gateway/catalog/publisher.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonValue } from "../../kernel/json/value.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { parsePublisherStatement } from "../../kernel/publisher-statement.ts";
import { runInProcess } from "../support/command-io.ts";
import { configOf } from "../support/gateway-run.ts";
import { answerAsModern, type ScriptedServer, startScriptedServer } from "../support/mcp-scripted.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-publisher-"));
const path = (name: string): string => join(folder, name);
let server: ScriptedServer;

const NAMES = ["--name", "acme", "--server", "com.acme/crm", "--server-version", "1.4.0"];

async function publish(key: string, out: string, ...args: readonly string[]): Promise<unknown> {
  const end = args.includes("--not-after") ? [] : ["--not-after", "2099-01-01T00:00:00.000Z"];
  const words = ["--key", path(`${key}.key`), ...NAMES, ...end, "--out", path(out), ...args];
  const { exit, fault } = await runInProcess(publisherCommand, words);
  return exit ?? fault;
}

async function catalog(...args: readonly string[]): Promise<{ exit: unknown; out: string }> {
  const { exit, fault, out } = await runInProcess(catalogCommand, args);
  return { exit: exit ?? fault, out };
}

async function publicHalf(name: string): Promise<JsonValue> {
  return parseJson((await catalog("key", "--key", path(`${name}.key`), "--name", name)).out);
}

beforeAll(async () => {
  server = await startScriptedServer((message, response) => answerAsModern(message, response));
  for (const name of ["acme", "other", "alice"]) {
    await runInProcess(keygenCommand, ["envelope", "--out", path(`${name}.key`)]);
  }
  const publisher = { name: "acme", server: "com.acme/crm", statement_file: path("crm.statement") };
  const config = configOf(path("data"), "http://127.0.0.1:9", [], {
    config: {
      servers: [{ id: "crm", url: server.url, publisher }],
      catalog: {
        file: path("none.json"),
        approvers: [await publicHalf("alice")],
        threshold: 1,
        publishers: [await publicHalf("acme")],
      },
    },
  });
  writeFileSync(path("gateway.json"), JSON.stringify(config));
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("countersign publisher, and what an approver is told", () => {
  const config = ["--config", path("gateway.json")];
  const approve = (file: string, ...more: readonly string[]): Promise<{ exit: unknown; out: string }> =>
    catalog("approve", path(file), "--key", path("alice.key"), ...more);

  it("nothing is signed while the publisher's statement is missing, another's, about another server or over", async () => {
    const pinned = await catalog("pin", ...config, "--out", path("catalog.json"));
    expect([pinned.exit, pinned.out]).toEqual([0, expect.stringContaining("publisher of crm: missing: ")]);
    expect((await catalog("diff", ...config)).out).toContain("publisher of crm: missing: ");
    const unsigned = readFileSync(path("catalog.json"));
    const refused: readonly (readonly [string, string, string, readonly string[]])[] = [
      ["ERR_PUBLISHER_KEY", "invalid", "other", ["--url", server.url]],
      ["ERR_PUBLISHER_SERVER", "other", "acme", ["--url", `${server.url}/x`]],
      ["ERR_PUBLISHER_SERVER", "other", "acme", ["--url", server.url, "--spki", "5a".repeat(32)]],
      [
        "ERR_PUBLISHER_TIME",
        "invalid",
        "acme",
        ["--url", server.url, "--not-before", "2020-01-01T00:00:00.000Z", "--not-after", "2021-01-01T00:00:00.000Z"],
      ],
    ];
    expect((await approve("catalog.json", ...config)).exit).toBe("ERR_PUBLISHER_MISSING");
    for (const [code, word, key, args] of refused) {
      expect(await publish(key, "crm.statement", ...args)).toBe(0);
      expect((await catalog("show", path("catalog.json"), ...config)).out).toContain(`publisher of crm: ${word}: `);
      expect((await approve("catalog.json", ...config)).exit).toBe(code);
      rmSync(path("crm.statement"));
    }
    expect(readFileSync(path("catalog.json"))).toEqual(unsigned);
  });

  it("with the statement the catalog is signed, and says whose the server is", async () => {
    const of = ["--catalog", path("catalog.json"), "--id", "crm"];
    expect(await publish("acme", "crm.statement", "--url", server.url, ...of)).toBe(0);
    const approved = await approve("catalog.json", ...config);
    expect(approved.exit).toBe(0);
    expect(approved.out).toContain(
      "publisher of crm: verified acme, as com.acme/crm 1.4.0, until 2099-01-01T00:00:00.000Z\n",
    );
    const shown = await catalog("show", path("catalog.json"));
    expect(shown.out).toContain("  publisher acme, as com.acme/crm\n");
    const entry = parsePublisherStatement(readFileSync(path("crm.statement")));
    const { servers } = readRevisedFile(path("catalog.json")).file;
    expect(entry.surface).toBe(servers.map((one) => publishedSurface("com.acme/crm", one))[0]);
  });

  it("measures an executable and takes its arguments, and wants one kind of server", async () => {
    writeFileSync(path("crm"), "#!/bin/sh\n");
    chmodSync(path("crm"), 0o755);
    expect(await publish("acme", "local.statement", "--executable", path("crm"), "--arg=serve", "--arg=--all")).toBe(0);
    expect(parsePublisherStatement(readFileSync(path("local.statement"))).identity).toEqual({
      kind: "stdio",
      executable: digestFile("#!/bin/sh\n"),
      args: ["serve", "--all"],
    });
    expect(await publish("acme", "local.statement", "--executable", path("crm"))).toBe("ERR_FILE_WRITE");
    for (const args of [
      [],
      ["--url", server.url, "--executable", path("crm")],
      ["--url", server.url, "--arg=x"],
      ["--executable", path("crm"), "--spki", "5a".repeat(32)],
      ["--url", server.url, "--id", "crm"],
      ["--url", server.url, "--catalog", path("catalog.json"), "--id", "other"],
    ]) {
      expect([args, await publish("acme", "none.statement", ...args)]).toEqual([args, "usage"]);
    }
    expect(await publish("acme", "none.statement", "--url", server.url, "--spki", "5a")).toBe("ERR_SHAPE");
    expect(await publish("acme", "none.statement", "--url", "ftp://x/")).toBe("ERR_SHAPE");
  });
});
