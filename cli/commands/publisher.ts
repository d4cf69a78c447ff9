/** `countersign publisher`: a publisher's signed statement that a server is its own. */

import { publishedSurface } from "../../gateway/catalog/publisher.ts";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { type PublisherBody, type StatedIdentity, signPublisherStatement } from "../../kernel/publisher-statement.ts";
import { hex64Shape } from "../../kernel/receipt/fields.ts";
import { formatTimestamp, parseTimestamp } from "../../kernel/time.ts";
import { readCatalogFile } from "../catalog/catalog-files.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, readEnvelopeKey, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";

const HELP = `countersign publisher --key <file> --name <publisher> --server <name> --server-version <version>
                      (--url <url> [--spki <hex>]… | --executable <file> [--arg <argument>]…)
                      --not-after <time> [--not-before <time>] [--catalog <file> --id <server>] --out <file>

For whoever publishes an MCP server: signs that the server of this name, at this URL or with this executable and these
arguments, is its own (docs/formats/publisher-statement.md). A gateway whose configuration pins the key for this publisher
(catalog.publishers) and names the statement (servers[].publisher) calls the server only while the statement holds.

  --key <file>          an envelope key (countersign keygen envelope); "countersign catalog key" prints its public half
  --name <publisher>    how the publisher calls itself
  --server <name>       the server's name, as in a registry: com.example/crm
  --spki <hex>          SHA-256 of a TLS key of the server; gateways must then hold their connections to it
  --executable <file>   the file is measured; --arg is given once for each argument, as --arg=<argument>
  --not-after <time>    like 2026-01-31T12:00:00.000Z; --not-before is now by default
  --catalog, --id       the statement is also about the definitions that this catalog has of this server
  --out <file>          the statement; an existing file is never replaced
`;

const OPTIONS = {
  key: { type: "string" },
  name: { type: "string" },
  server: { type: "string" },
  "server-version": { type: "string" },
  url: { type: "string" },
  spki: { type: "string", multiple: true },
  executable: { type: "string" },
  arg: { type: "string", multiple: true },
  "not-before": { type: "string" },
  "not-after": { type: "string" },
  catalog: { type: "string" },
  id: { type: "string" },
  out: { type: "string" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS);
  const before = given.text("not-before");
  const body: Omit<PublisherBody, "kind" | "v"> = {
    publisher: given.required("name"),
    server: { name: given.required("server"), version: given.required("server-version") },
    identity: identityOf(given),
    surface: surfaceOf(given),
    not_before: before === undefined ? formatTimestamp(Date.now()) : parseTimestamp(before),
    not_after: parseTimestamp(given.required("not-after")),
  };
  const bytes = signPublisherStatement(body, readEnvelopeKey(given.required("key")));
  writeNewFile(given.required("out"), parseUtf8(bytes), 0o644);
  io.out(`${digestFile(bytes)}\n`);
  return Promise.resolve(EXIT.ok);
}

function identityOf(given: Arguments): StatedIdentity {
  const [url, executable] = [given.text("url"), given.text("executable")];
  const [keys, words] = [given.texts("spki"), given.texts("arg")];
  if (url !== undefined && executable === undefined && words.length === 0) {
    return { kind: "http", url, spki: keys.map((key) => hex64Shape.read(key, "--spki")) };
  }
  if (executable !== undefined && url === undefined && keys.length === 0) {
    return { kind: "stdio", executable: digestFile(readBytes(executable)), args: words };
  }
  throw new UsageError("want either --url, with --spki, or --executable, with --arg");
}

function surfaceOf(given: Arguments): string | null {
  const [catalog, id] = [given.text("catalog"), given.text("id")];
  if (catalog === undefined && id === undefined) return null;
  if (catalog === undefined || id === undefined) throw new UsageError("want --catalog and --id together");
  const entry = readCatalogFile(catalog).file.servers.find((server) => server.id === id);
  if (entry === undefined) throw new UsageError(`the catalog ${catalog} has no server ${id}`);
  return publishedSurface(given.required("server"), entry);
}

/** Signs whose server it is. */
export const publisherCommand: Command = {
  name: "publisher",
  summary: "sign, as its publisher, that a server is one's own",
  help: HELP,
  run,
};
