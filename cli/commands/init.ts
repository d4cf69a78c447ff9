/** `countersign init`: finds the MCP servers of the hosts on this machine, and puts them behind the gateway. */

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { type Layout, makeLayout } from "../demo/layout.ts";
import type { Io } from "../io.ts";
import { changeFile, undoChanges } from "../onboard/changes.ts";
import { type HostGateway, planHostGateway, writeHostGateway } from "../onboard/host-gateway.ts";
import { HOSTS, hostFiles, type Surroundings } from "../onboard/hosts.ts";
import {
  entryAfter,
  masked,
  type PlannedFile,
  type PlannedServer,
  planFiles,
  unpinnedPackage,
} from "../onboard/plan.ts";
import { makeResolver } from "../onboard/resolve.ts";
import { type RemoteServer, ServerIds } from "../onboard/rewrite.ts";
import { makePaint, type Paint, visible } from "../paint.ts";
import { packageVersion } from "../version.ts";
import { DEFAULT_ORIGIN } from "./setup.ts";

const HELP = `countersign init [--host <host>]… [--data <folder>] [--dry-run | --yes]
countersign init --undo [--data <folder>]

Finds the MCP servers of Claude Code, Claude Desktop, VS Code and Cursor, of this user and of the project in this folder,
shows what would change, and after a yes puts each behind the gateway: a command behind "countersign wrap", a URL behind
the gateway's. Every file is backed up beside itself first; comments and order in it stay. Run again it takes what is new.

  --host <host>    ${HOSTS.join(", ")}; may be given more than once. Default: all that are here
  --data <folder>  keys, tokens, configuration, receipts, and the record of changes; default ~/.countersign. Made if it is
                   not there, with a ledger and witnesses on loopback
  --dry-run        shows what would change, and changes nothing
  --yes            does not ask
  --undo           puts every file back byte for byte; one that was changed since is left and named

Variables that a host sets for a server are carried by name; their values stay in the host's file. Mode is advisory:
calls are recorded, and none is refused; docs/gateway.md says what enforcing needs.

Exit: 0 done, or nothing to do; 1 something could not be undone; 3 unusable input.
`;

const OPTIONS = {
  host: { type: "string", multiple: true },
  data: { type: "string" },
  "dry-run": { type: "boolean" },
  yes: { type: "boolean" },
  undo: { type: "boolean" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS);
  const where = surroundings(io);
  const layout = makeLayout(resolve(io.cwd, given.text("data") ?? join(where.home, ".countersign")));
  if (given.flag("undo")) return undo(layout.root, io);
  const gateway = await planHostGateway(layout);
  const ids = new ServerIds(gateway.ids);
  const files = plan(given, where, gateway, ids);
  const paint = makePaint(io.isColoured === true);
  io.out(files.map((file) => describe(file, paint)).join("\n"));
  const changed = files.filter(({ servers }) => servers.some(({ rewriting }) => rewriting.kind === "rewrite"));
  if (changed.length === 0) {
    io.out("nothing to change\n");
    return EXIT.ok;
  }
  if (given.flag("dry-run") || !(await isWanted(given, io))) {
    io.out("nothing was changed\n");
    return EXIT.ok;
  }
  const remotes = changed.flatMap(({ servers }) => servers.flatMap(remoteOf));
  await writeHostGateway(layout, gateway, remotes, ids.known(), DEFAULT_ORIGIN);
  for (const { file, before, after } of changed) {
    const { backup } = changeFile(
      layout.root,
      { host: file.host, path: file.path, version: packageVersion() },
      before,
      after,
    );
    io.out(`changed ${file.path}\n  backup ${backup}\n`);
  }
  io.out(nextSteps(layout, gateway, remotes));
  return EXIT.ok;
}

function surroundings(io: Io): Surroundings {
  const home = io.env["HOME"] ?? io.env["USERPROFILE"] ?? homedir();
  return { platform: process.platform, home, cwd: io.cwd, env: io.env };
}

function plan(given: Arguments, where: Surroundings, gateway: HostGateway, ids: ServerIds): readonly PlannedFile[] {
  const hosts = given.texts("host");
  const stranger = hosts.find((host) => HOSTS.every((known) => known !== host));
  if (stranger !== undefined) throw new UsageError(`--host: want ${HOSTS.join(", ")}`);
  const installation = {
    node: process.execPath,
    main: mainFile(),
    config: gateway.config,
    gatewayUrl: gateway.url,
    resolveCommand: makeResolver(where),
  };
  const files = hostFiles(where).filter(({ host }) => hosts.length === 0 || hosts.includes(host));
  return planFiles(files, installation, gateway, ids);
}

/** The command's main file: beside this folder, in the sources as in `dist`. */
function mainFile(): string {
  const here = fileURLToPath(import.meta.url);
  return resolve(here, "..", "..", here.endsWith(".ts") ? "main.ts" : "main.js");
}

async function isWanted(given: Arguments, io: Io): Promise<boolean> {
  if (given.flag("yes")) return true;
  if (io.ask === undefined) throw new UsageError("nobody can be asked here: give --yes or --dry-run");
  return /^y(?:es)?$/iu.test((await io.ask("Change these files? [y/N] ")).trim());
}

function remoteOf({ rewriting }: PlannedServer): readonly RemoteServer[] {
  return rewriting.kind === "rewrite" && rewriting.remote !== undefined ? [rewriting.remote] : [];
}

function describe({ file, servers, fault }: PlannedFile, paint: Paint): string {
  const lines = [
    paint("bold", `${file.host}, ${file.scope}: ${visible(file.path)}`),
    ...(fault === undefined ? [] : [`  left: ${fault}`]),
    ...servers.flatMap((server) => describeServer(server, paint)),
  ];
  return `${lines.join("\n")}\n`;
}

function describeServer(server: PlannedServer, paint: Paint): readonly string[] {
  const { name, entry, rewriting } = server;
  const shown = visible(name);
  if (rewriting.kind === "governed") return [`  ${shown}: governed already`];
  if (rewriting.kind === "left") return [`  ${paint("yellow", `${shown}: left: ${rewriting.reason}`)}`];
  const unpinned = unpinnedPackage(server);
  const note = `    supply.unpinned: ${visible(unpinned ?? "")} has no exact version; what runs may change any day`;
  return [
    `  ${shown}: as ${rewriting.id}`,
    ...(unpinned === undefined ? [] : [paint("yellow", note)]),
    `    ${paint("red", `- ${visible(JSON.stringify(masked(entry)))}`)}`,
    `    ${paint("green", `+ ${visible(JSON.stringify(masked(entryAfter(server))))}`)}`,
  ];
}

function nextSteps(layout: Layout, gateway: HostGateway, remotes: readonly RemoteServer[]): string {
  const needsGateway = remotes.length > 0;
  return [
    "",
    "Restart the hosts. Receipts wait on this machine until the ledger runs:",
    `  countersign ledger --config ${layout.config("ledger")}`,
    ...(needsGateway
      ? ["Servers behind a URL need the gateway:", `  countersign gateway --config ${gateway.config}`]
      : []),
    "To put everything back: countersign init --undo",
    "",
  ].join("\n");
}

function undo(data: string, io: Io): number {
  const undone = undoChanges(data);
  const words = {
    restored: "restored",
    untouched: "was as before:",
    kept: "left, because it or its backup was changed since:",
  } as const;
  for (const { change, result } of undone) {
    io.out(`${words[result]} ${change.path}\n`);
    if (result === "kept") io.out(`  backup ${change.backup}\n`);
  }
  if (undone.length === 0) io.out("nothing to undo\n");
  return undone.some(({ result }) => result === "kept") ? EXIT.failed : EXIT.ok;
}

/** Onboards hosts. */
export const initCommand: Command = {
  name: "init",
  summary: "put the MCP servers of this machine's hosts behind the gateway",
  help: HELP,
  run,
};
