/** Finds the subcommand, runs it, turns errors into one line and an exit code. */

import { isCodedError } from "../kernel/errors.ts";
import { type Command, EXIT, nearest, UsageError } from "./command.ts";
import { apiCommand } from "./commands/api.ts";
import { approvalsCommand } from "./commands/approvals.ts";
import { backupCommand } from "./commands/backup.ts";
import { bundleCommand } from "./commands/bundle.ts";
import { catalogCommand } from "./commands/catalog.ts";
import { checkForkCommand } from "./commands/check-fork.ts";
import { checkPromiseCommand } from "./commands/check-promise.ts";
import { discloseCommand } from "./commands/disclose.ts";
import { eraseCommand } from "./commands/erase.ts";
import { exportCommand } from "./commands/export.ts";
import { exportOcsfCommand } from "./commands/export-ocsf.ts";
import { fsckCommand } from "./commands/fsck.ts";
import { gatewayCommand } from "./commands/gateway.ts";
import { graphCommand } from "./commands/graph.ts";
import { importCommand } from "./commands/import.ts";
import { initCommand } from "./commands/init.ts";
import { keygenCommand } from "./commands/keygen.ts";
import { killSwitchCommand } from "./commands/kill-switch.ts";
import { ledgerCommand } from "./commands/ledger.ts";
import { logStatusCommand } from "./commands/log-status.ts";
import { mandateCommand } from "./commands/mandate.ts";
import { mirrorCommand } from "./commands/mirror.ts";
import { mirrorServerCommand } from "./commands/mirror-server.ts";
import { policyCommand } from "./commands/policy.ts";
import { provenanceCommand } from "./commands/provenance.ts";
import { pruneCommand } from "./commands/prune.ts";
import { publisherCommand } from "./commands/publisher.ts";
import { quarantineCommand } from "./commands/quarantine.ts";
import { reindexCommand } from "./commands/reindex.ts";
import { restoreCommand } from "./commands/restore.ts";
import { routeTestCommand } from "./commands/route-test.ts";
import { scanCommand } from "./commands/scan.ts";
import { setupCommand } from "./commands/setup.ts";
import { subjectReportCommand } from "./commands/subject-report.ts";
import { upCommand } from "./commands/up.ts";
import { verifyCommand } from "./commands/verify.ts";
import { witnessCommand } from "./commands/witness.ts";
import { workflowTokenCommand } from "./commands/workflow-token.ts";
import { wrapCommand } from "./commands/wrap.ts";
import type { Io } from "./io.ts";
import { packageVersion } from "./version.ts";

const COMMANDS: readonly Command[] = [
  upCommand,
  setupCommand,
  initCommand,
  gatewayCommand,
  wrapCommand,
  catalogCommand,
  policyCommand,
  approvalsCommand,
  discloseCommand,
  eraseCommand,
  killSwitchCommand,
  quarantineCommand,
  ledgerCommand,
  witnessCommand,
  apiCommand,
  bundleCommand,
  verifyCommand,
  graphCommand,
  subjectReportCommand,
  exportOcsfCommand,
  checkForkCommand,
  checkPromiseCommand,
  logStatusCommand,
  keygenCommand,
  provenanceCommand,
  publisherCommand,
  routeTestCommand,
  scanCommand,
  mandateCommand,
  workflowTokenCommand,
  fsckCommand,
  reindexCommand,
  pruneCommand,
  mirrorCommand,
  exportCommand,
  importCommand,
  mirrorServerCommand,
  backupCommand,
  restoreCommand,
];

const HELP_WORDS: ReadonlySet<string> = new Set(["--help", "-h", "help"]);
const VERSION_WORDS: ReadonlySet<string> = new Set(["--version", "-v", "version"]);

/**
 * Runs one command line.
 *
 * @param argv  the words after `countersign`
 * @returns the exit code: 0 done, 1 and 2 as the subcommand says, 3 unusable input or arguments
 */
export async function runCommand(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...args] = argv;
  const [topic] = args;
  if (name !== undefined && HELP_WORDS.has(name) && topic !== undefined) return runCommand([topic, "--help"], io);
  if (name === undefined || HELP_WORDS.has(name)) return printOverview(io);
  if (VERSION_WORDS.has(name)) return printVersion(io);
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const like = nearest(
      name,
      COMMANDS.map((each) => each.name),
    );
    const meant = like === undefined ? "" : `, did you mean "${like}"?`;
    io.err(`countersign: unknown command "${name}"${meant}; "countersign --help" lists them\n`);
    return EXIT.unusable;
  }
  if (["--help", "-h"].some((flag) => args.includes(flag) && !beforeSeparator(args, flag))) {
    io.out(command.help);
    return EXIT.ok;
  }
  return runGuarded(command, args, io);
}

async function runGuarded(command: Command, args: readonly string[], io: Io): Promise<number> {
  try {
    return await command.run(args, io);
  } catch (error) {
    if (error instanceof UsageError) {
      io.err(
        `countersign ${command.name}: ${error.message}; "countersign ${command.name} --help" says what it takes\n`,
      );
      return EXIT.unusable;
    }
    // Exit 1 is a verdict: what nobody expected must not look like one.
    const said = isCodedError(error)
      ? `${error.code}: ${error.message}`
      : `ERR_BUG: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    io.err(`countersign ${command.name}: ${said}\n`);
    return EXIT.unusable;
  }
}

/** True if `flag` stands only behind a bare `--`, where it belongs to another program. */
function beforeSeparator(args: readonly string[], flag: string): boolean {
  const separator = args.indexOf("--");
  return separator >= 0 && args.indexOf(flag) > separator;
}

function printOverview(io: Io): number {
  const width = Math.max(...COMMANDS.map((command) => command.name.length));
  const lines = COMMANDS.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`);
  io.out(
    `countersign: evidence ledger and transparency log for MCP tool calls\n\n${lines.join("\n")}\n\n` +
      `"countersign <command> --help" says what a command takes.\n`,
  );
  return EXIT.ok;
}

function printVersion(io: Io): number {
  io.out(`countersign ${packageVersion()}\n`);
  return EXIT.ok;
}
