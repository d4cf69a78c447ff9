import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { diffServers } from "../../gateway/catalog/catalog-diff.ts";
import { type CatalogEntry, pinServers } from "../../gateway/catalog/catalog-file.ts";
import {
  type NamedPublisher,
  type PublisherRules,
  provePublishers,
  publishedSurface,
  publisherStanding,
} from "../../gateway/catalog/publisher.ts";
import { parseGatewayConfig } from "../../gateway/config.ts";
import type { ServerIdentity } from "../../gateway/pipeline/call.ts";
import { StoreError } from "../../kernel/errors.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import { formatTimestamp, parseTimestamp } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";
import { type FakeLedger, startFakeLedger } from "../support/fake-ledger.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";
import {
  type BenchOptions,
  callOf,
  configOf,
  type GatewayBench,
  makeGatewayBench,
  ofKind,
  readStream,
  runCall,
} from "../support/gateway-run.ts";
import { ACME, ACME_PINNED, acmeStatement, IMPOSTOR } from "../support/publishers.ts";
import { ALICE, BOB, catalogConfig, proposal, signedBy } from "../support/signed-catalog.ts";

const URL_OF_S = "https://mcp.crm.example/mcp";
const NAMED: NamedPublisher = { name: "acme", server: "com.acme/crm" };
const KEY = "5a".repeat(32);

function entryOf(identity: ServerIdentity, publisher?: NamedPublisher): CatalogEntry {
  const surface = { serverInfo: {}, capabilities: {}, tools: [], prompts: [], resources: [], resourceTemplates: [] };
  const named = publisher === undefined ? {} : { publisher };
  const [entry] = pinServers([{ id: "s", identity, attributes: {}, surface, ...named }], "signers");
  if (entry === undefined) throw new Error("nothing was pinned");
  return entry;
}

/** What becomes of a statement about a server; its provenance and, if it is not proven, why. */
function standing(
  statement: Uint8Array | undefined,
  entry: CatalogEntry,
  { wanted = NAMED, spki = [] }: { readonly wanted?: NamedPublisher | null; readonly spki?: readonly string[] } = {},
): readonly string[] {
  const publisher = wanted === null ? {} : { publisher: { ...wanted, statement_file: "f" } };
  const rules: PublisherRules = {
    publishers: [{ name: "acme", key: ACME.publicKey }],
    servers: [{ id: "s", spki, ...publisher }],
  };
  const read = (): Uint8Array => {
    if (statement === undefined) throw new StoreError("ERR_FILE_READ", "there is none");
    return statement;
  };
  const found = publisherStanding(provePublishers(rules, { servers: [entry] }, read).get("s"), 1_700_000_000_000);
  return "error" in found ? [found.provenance, found.error.code] : [found.provenance];
}

describe("a publisher's statement about an approved server", () => {
  const web = entryOf({ kind: "http", url: URL_OF_S });
  const executable = `sha256:${"ab".repeat(32)}`;
  const local = entryOf({ kind: "stdio", command: "/opt/crm", args: ["serve"], executable });
  const mismatch = ["catalog-mismatch", "ERR_PUBLISHER_SERVER"];

  it("proves the server that it names, and nothing is asked of a server that is to be of nobody", () => {
    expect(standing(acmeStatement(), web)).toEqual(["verified"]);
    expect(standing(acmeStatement({ identity: { kind: "stdio", executable, args: ["serve"] } }), local)).toEqual([
      "verified",
    ]);
    expect(standing(acmeStatement(), web, { wanted: null })).toEqual(["unchecked"]);
  });

  it("proves none of another name, URL, executable, argument, transport or surface", () => {
    const other = acmeStatement({ server: { name: "com.acme/crn", version: "1.4.0" } });
    expect(standing(other, web)).toEqual(mismatch);
    expect(standing(acmeStatement(), entryOf({ kind: "http", url: `${URL_OF_S}/` }))).toEqual(mismatch);
    expect(standing(acmeStatement(), local)).toEqual(mismatch);
    for (const identity of [
      { kind: "stdio", executable: `sha256:${"ac".repeat(32)}`, args: ["serve"] },
      { kind: "stdio", executable, args: ["serve", "--all"] },
      { kind: "stdio", executable, args: [] },
    ] as const) {
      expect(standing(acmeStatement({ identity }), local)).toEqual(mismatch);
      expect(standing(acmeStatement({ identity }), web)).toEqual(mismatch);
    }
    expect(standing(acmeStatement({ surface: publishedSurface(NAMED.server, web) }), web)).toEqual(["verified"]);
    expect(standing(acmeStatement({ surface: web.surface }), web)).toEqual(mismatch);
  });

  it("proves no URL without TLS, and with TLS keys only a server whose connections are held to them", () => {
    const about = (url: string, spki: readonly string[] = []): Uint8Array =>
      acmeStatement({ identity: { kind: "http", url, spki } });
    const at = (url: string): readonly string[] => standing(about(url), entryOf({ kind: "http", url }));
    expect(at("http://mcp.crm.example/mcp")).toEqual(mismatch);
    expect([at("http://127.0.0.1:9/mcp"), at("http://[::1]:9/mcp")]).toEqual([["verified"], ["verified"]]);
    // A catalog may hold what no URL parser takes; it must not stop a start or a reload.
    expect(at("https://%")).toEqual(mismatch);
    const keyed = about(URL_OF_S, [KEY]);
    expect(standing(keyed, web)).toEqual(mismatch);
    expect(standing(keyed, web, { spki: [KEY, "6b".repeat(32)] })).toEqual(mismatch);
    expect(standing(keyed, web, { spki: [KEY] })).toEqual(["verified"]);
  });

  it("is as good as none when it is missing, malformed, too early, too late, or of another key", () => {
    expect(standing(undefined, web)).toEqual(["absent", "ERR_PUBLISHER_MISSING"]);
    expect(standing(acmeStatement().slice(0, -1), web)[0]).toBe("invalid");
    expect(standing(acmeStatement({}, IMPOSTOR), web)).toEqual(["invalid", "ERR_PUBLISHER_KEY"]);
    const early = acmeStatement({ not_before: parseTimestamp("2098-01-01T00:00:00.000Z") });
    expect(standing(early, web)).toEqual(["invalid", "ERR_PUBLISHER_TIME"]);
    const late = acmeStatement({ not_after: parseTimestamp("2021-01-01T00:00:00.000Z") });
    expect(standing(late, web)).toEqual(["invalid", "ERR_PUBLISHER_TIME"]);
  });

  it("stays asked for when the approved catalog names the publisher and the configuration does not, or another", () => {
    const approved = entryOf({ kind: "http", url: URL_OF_S }, NAMED);
    expect(standing(acmeStatement(), approved)).toEqual(["verified"]);
    expect(standing(acmeStatement(), approved, { wanted: null })).toEqual(mismatch);
    expect(standing(acmeStatement(), approved, { wanted: { name: "acme", server: "com.acme/crn" } })).toEqual(mismatch);
  });
});

describe("a difference of catalogs", () => {
  it("shows another publisher, and what is declared of the data in another way", () => {
    const web = entryOf({ kind: "http", url: URL_OF_S });
    const changed = { ...web, publisher: NAMED, data: { domain: "crm" } };
    const places = diffServers([web], [changed]).flatMap(({ members }) => members.map(({ pointer }) => pointer));
    expect(places.toSorted()).toEqual(["/data", "/publisher"]);
    expect(diffServers([changed], [{ ...changed, publisher: { ...NAMED, name: "acne" } }])).toMatchObject([
      { members: [{ pointer: "/publisher/name", before: "acme", after: "acne" }] },
    ]);
  });
});

describe("the configuration of publishers", () => {
  const parse = (publishers: JsonValue | undefined, publisher: JsonObject): string | undefined =>
    codeOf(() => {
      const servers = [{ id: "s", url: URL_OF_S, publisher }];
      const catalog = { pin: "first-use", ...(publishers === undefined ? {} : { publishers }) };
      parseGatewayConfig(configOf("/nowhere", "http://ledger.example", [], { config: { servers, catalog } }));
    });
  const wanted = { ...NAMED, statement_file: "f" };

  it("names each publisher and each key once, and every publisher that a server is to be of", () => {
    expect(parse(ACME_PINNED, wanted)).toBe("accepted");
    expect(parse(undefined, wanted)).toBe("ERR_CONFIG");
    expect(parse(ACME_PINNED, { ...wanted, name: "acne" })).toBe("ERR_CONFIG");
    const [one = {}] = ACME_PINNED;
    expect(parse([one, one], wanted)).toBe("ERR_CONFIG");
    expect(parse([one, { ...one, name: "acne" }], wanted)).toBe("ERR_CONFIG");
    expect(parse(ACME_PINNED, { ...wanted, key: "x" })).toBe("ERR_SHAPE");
  });
});

describe("a gateway whose server must be of a publisher", () => {
  let ledger: FakeLedger;
  const benches: GatewayBench[] = [];
  const files = new Map<string, Uint8Array>();
  const upstream = makeFakeUpstream("s", undefined, { kind: "http", url: URL_OF_S });

  beforeEach(async () => {
    ledger = await startFakeLedger();
  });
  afterEach(async () => {
    for (const each of benches.splice(0)) each.remove();
    files.clear();
    await ledger.close();
  });

  function benchOf(
    mode: Mode,
    given: Partial<BenchOptions> = {},
    catalog: JsonObject = { pin: "first-use" },
  ): GatewayBench {
    const readFile = (path: string): Uint8Array => {
      const bytes = files.get(path);
      if (bytes === undefined) throw new StoreError("ERR_FILE_READ", `no ${path}`);
      return bytes;
    };
    const servers = [{ id: "s", url: URL_OF_S, publisher: { ...NAMED, statement_file: "crm.statement" } }];
    const config = { servers, catalog: { ...catalog, publishers: ACME_PINNED } };
    const made = makeGatewayBench(ledger.url, { mode, upstreams: [upstream], config, options: { readFile }, ...given });
    benches.push(made);
    return made;
  }

  async function decisions(bench: GatewayBench, stream: string): Promise<readonly unknown[]> {
    const receipts = ofKind(await readStream(bench.folder, stream), "decision");
    return receipts.map(({ ruling: { action, judgement, reasons }, server }) => [
      action,
      judgement,
      reasons,
      observedValue(server)?.provenance,
    ]);
  }
  const REFUSED = ["refuse", "deny", ["server.publisher"]];

  it("calls it while the statement holds, and not a moment longer", async () => {
    const bench = benchOf("enforcing");
    const end = bench.world.nowMs();
    files.set("crm.statement", acmeStatement({ not_after: formatTimestamp(end + 60_000) }));
    const run = await bench.open();
    expect(await runCall(run, callOf("echo", { message: "a" }))).toBe("forward");
    await bench.world.advance(60_000);
    expect(await runCall(run, callOf("echo", { message: "b" }))).toBe("refuse");
    expect(await decisions(bench, run.status().stream)).toEqual([
      ["forward", "allow", ["policy.permit"], "verified"],
      [...REFUSED, "invalid"],
    ]);
    await run.close();
  });

  it("refuses it without one in enforcing mode, and in advisory mode records what it would have refused", async () => {
    for (const mode of ["enforcing", "advisory"] as const) {
      const bench = benchOf(mode);
      const run = await bench.open();
      expect(await runCall(run, callOf("echo", { message: "a" }))).toBe(mode === "enforcing" ? "refuse" : "forward");
      const [decision] = await decisions(bench, run.status().stream);
      expect(decision).toEqual([mode === "enforcing" ? "refuse" : "forward", "deny", ["server.publisher"], "absent"]);
      expect(bench.log).toContain("warn the publisher of a server is not proven");
      await run.close();
    }
  });

  it("reads the statement again when a catalog is loaded, the same one too", async () => {
    const first = await proposal([upstream]);
    const catalogFile = signedBy(first, ALICE, BOB);
    const bench = benchOf("enforcing", { catalogFile }, catalogConfig());
    files.set("crm.statement", acmeStatement({}, IMPOSTOR));
    const run = await bench.open();
    expect(await runCall(run, callOf("echo", { message: "a" }))).toBe("refuse");
    files.set("crm.statement", acmeStatement());
    expect(await runCall(run, callOf("echo", { message: "a" }))).toBe("refuse");
    await run.reloadCatalog(catalogFile);
    expect(await runCall(run, callOf("echo", { message: "a" }))).toBe("forward");
    files.delete("crm.statement");
    await run.reloadCatalog(catalogFile);
    expect(await runCall(run, callOf("echo", { message: "a" }))).toBe("refuse");
    expect((await decisions(bench, run.status().stream)).map((row) => Array.isArray(row) && row[3])).toEqual([
      "invalid",
      "invalid",
      "verified",
      "absent",
    ]);
    await run.close();
  });
});
