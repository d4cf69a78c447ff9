/** `countersign route-test`: whether the servers of a gateway answer somebody who asks them without it. */

import { digestOf } from "../../gateway/catalog/digests.ts";
import { type ScopedServer, scopedServers } from "../../gateway/pipeline/capture-scope.ts";
import { formatRouteTest, type TestedRoute, vantageShape } from "../../kernel/route-test.ts";
import { readShape } from "../../kernel/shape.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readJsonFile, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";
import { probeRoute } from "../route-probe.ts";

const HELP = `countersign route-test --boundary <file> --server <id>=<url> [--server …] --from <name> --out <file>

To be run where agents run: asks the servers of a gateway without it, once each, with no credential, and writes down which of
them answered (docs/formats/route-test.md). With the file, countersign verify --route-test says why the obligation
route.mediation is not established; nothing passes by it, since what does not answer here may answer elsewhere.

  --boundary <file>    the gateway's capture-scope statement: evidence/sha256-….json of its data folder, by the digest that
                       decisions name as boundary
  --server <id>=<url>  a server of the statement, as the gateway is configured for it; others are not asked
  --from <name>        where this is, in your words
  --out <file>         the test; an existing file is never replaced

Exit: 0 no server answered; 1 one answered, or asked for a credential; 3 unusable input.
`;

const OPTIONS = {
  boundary: { type: "string" },
  server: { type: "string", multiple: true },
  from: { type: "string" },
  out: { type: "string" },
} as const;

const TIMEOUT_MS = 5_000;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS);
  const statement = readJsonFile(given.required("boundary"), (value) => value);
  const servers = scopedServers(statement);
  const urls = urlsOf(given.texts("server"), servers);
  const routes = await Promise.all(servers.map(({ id }) => routeTo(id, urls.get(id))));
  const from = readShape(vantageShape, given.required("from"), "--from");
  const time = formatTimestamp(Date.now());
  const bytes = formatRouteTest({ kind: "route-test", v: 1, time, from, boundary: digestOf(statement), routes });
  writeNewFile(given.required("out"), new TextDecoder().decode(bytes), 0o644);
  for (const { server, state } of routes) io.out(`${server} ${state}\n`);
  return routes.some(({ state }) => state === "answered" || state === "refused") ? EXIT.failed : EXIT.ok;
}

async function routeTo(server: string, url: URL | undefined): Promise<TestedRoute> {
  return { server, state: url === undefined ? "untested" : await probeRoute(url, TIMEOUT_MS) };
}

/** Each has to be the address that the statement commits to: another one would say nothing about the gateway's servers. */
function urlsOf(named: readonly string[], servers: readonly ScopedServer[]): ReadonlyMap<string, URL> {
  if (named.length === 0) throw new UsageError("--server: name at least one");
  const urls = new Map<string, URL>();
  for (const text of named) {
    const [id = "", url = ""] = splitOnce(text);
    const identity = servers.find((server) => server.id === id)?.identity;
    if (identity === undefined) throw new UsageError(`--server ${id}: the statement names no such server`);
    if (!URL.canParse(url) || digestOf({ kind: "http", url }) !== identity) {
      throw new UsageError(`--server ${id}: the statement is about another address`);
    }
    urls.set(id, new URL(url));
  }
  return urls;
}

function splitOnce(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** Tries routes around a gateway. */
export const routeTestCommand: Command = {
  name: "route-test",
  summary: "whether a gateway's servers answer somebody who asks them without it",
  help: HELP,
  run,
};
