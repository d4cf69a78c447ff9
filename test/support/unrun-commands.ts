/**
 * Commands of the documents that nothing runs as they stand there, and why. A new command belongs into a walk
 * (document-walks.ts) or into the gate; it comes here only if neither can run it.
 */

/** Commands with one reason. */
export interface UnrunGroup {
  readonly because: string;
  /** Tests that run the same subcommands with files and addresses of their own; none where nothing here can run them. */
  readonly tests: readonly string[];
  /** As {@link documentCommands} gives them. */
  readonly commands: readonly string[];
}

const OWN_FILES = "files, addresses and ids are the reader's; these tests run the subcommand with some of their own";

/** test/house/document-commands.test.ts holds that each is in a document, is run by nothing, and is what the program takes. */
export const UNRUN: readonly UnrunGroup[] = [
  {
    because: "no command, but a place where one is named by what stands for it",
    tests: [],
    commands: ["countersign ledger <word>", "countersign wrap … -- <command>"],
  },
  {
    because: "another measure of a program that the gate runs with --quick, over minutes to hours or on one part of it",
    tests: [],
    commands: [
      "npm run bench -- ledger",
      "npm run bench -- kernel",
      "npm run bench verifier",
      "npm run bench -- scale --entries N",
      "npm run bench:ledger -- growth",
      "npm run bench:ledger -- raw-add growth",
      "npm run bench:ledger -- scale",
    ],
  },
  {
    because: "the gate runs the vectors of each folder of fixtures, wherever COUNTERSIGN_FIXTURES says that they lie",
    tests: ["test/vectors/mcp.test.ts"],
    commands: ["npm run vectors -- <folder>", "npm run vectors -- ../shared/fixtures/mcp"],
  },
  {
    because: "writes a document in place; the test holds that it would change nothing",
    tests: ["test/house/coverage-doc.test.ts", "test/house/errors-doc.test.ts"],
    commands: ["node scripts/coverage-doc.mjs", "node scripts/errors-doc.mjs"],
  },
  {
    because: "would replace the installation that runs the tests; the gate installs with `npm ci`",
    tests: [],
    commands: ["npm ci --omit=optional"],
  },
  {
    because: "an option of Node, from a version that is newer than the one that the project asks for",
    tests: [],
    commands: ["node --permission"],
  },
  {
    because: OWN_FILES,
    tests: ["test/slow/wrap.test.ts", "test/cli/init.test.ts", "test/slow/compose-commands.test.ts"],
    commands: [
      "npx countersign wrap --config .countersign/config/gateway.json -- npx -y @modelcontextprotocol/server-memory",
      "countersign wrap --config gateway.json -- npx -y @modelcontextprotocol/server-memory",
      "countersign init --dry-run",
      "countersign init",
      "countersign init --undo",
    ],
  },
  {
    because: OWN_FILES,
    tests: ["test/gateway/vault.test.ts", "test/cli/verify.test.ts"],
    commands: [
      "countersign verify session.bundle.json --trust trust.json --artifact gateway.artifact.json --provenance gateway.provenance.json",
      "countersign verify session.bundle.json --trust trust.json --artifact gateway.artifact.json --session-artifact session.artifact.json",
      "countersign verify session.bundle.json --trust trust.json --route-test routes.json",
    ],
  },
  {
    because: OWN_FILES,
    tests: [
      "test/cli/catalog.test.ts",
      "test/cli/policy.test.ts",
      "test/gateway/approvals.test.ts",
      "test/gateway/kill-switch.test.ts",
    ],
    commands: [
      "countersign catalog key --key alice.key --name alice",
      "countersign catalog pin --config gateway.json --out catalog.json",
      "countersign catalog show catalog.json",
      "countersign catalog approve catalog.json --key alice.key --config gateway.json",
      "countersign catalog diff --config gateway.json",
      "countersign catalog reload --config gateway.json",
      'countersign policy draft --config gateway.json --agent "local|support-agent" --out support.session.json',
      "countersign policy seal support.session.json --key alice.key",
      "countersign policy reload --config gateway.json --sessions",
      "countersign policy check policy --catalog catalog.json",
      "countersign policy test policy cases.json --catalog catalog.json",
      "countersign policy explain policy request.json --catalog catalog.json",
      "countersign approvals list|show|grant|refuse --config gateway.json",
      "countersign quarantine on|off|list --config gateway.json",
      "countersign kill-switch on|off|list --config gateway.json",
    ],
  },
  {
    because: OWN_FILES,
    tests: ["test/cli/ledger-words.test.ts", "test/docs/formats-mandate.test.ts"],
    commands: [
      "countersign keygen log --name ledger.example.org/2026 --out log-2.key",
      "countersign keygen log --name ledger.example.org/2026 --alg ml-dsa-44 --out log-2-ml-dsa-44.key",
      "countersign ledger rotate-key --config ledger.json --dry-run",
      "countersign ledger rotate-key --config ledger.json",
      "countersign ledger retire-key --config ledger.json",
      'countersign ledger freeze --config ledger.json --log 2026 --reason "end of 2026" --successor ledger.example.org/2027 --out 2026.json',
      "countersign ledger link --config ledger.json --log 2027 --predecessor 2026.json --predecessor-policy 2026-policy.txt",
      'countersign ledger decommission --config ledger.json --reason "moved to another provider" --successor log.example.net/a --out decommission.json',
      "countersign log-status decommission.json --witness-policy policy.txt",
      "countersign log-status <file or url>",
      "countersign mandate revoke <chain> --key <issuer's key> --list <file>",
    ],
  },
  {
    because: OWN_FILES,
    tests: [
      "test/cli/fsck.test.ts",
      "test/postgres-s3/fsck.test.ts",
      "test/postgres-s3/halt.test.ts",
      "test/postgres-s3/export.test.ts",
      "test/postgres-s3/prune.test.ts",
      "test/ledger/backup.test.ts",
      "test/ledger/log-archive.test.ts",
      "test/ledger/prune.test.ts",
      "test/ledger/mirror-serve.test.ts",
    ],
    commands: [
      "countersign fsck --config ledger.json --log <name> --clear-halt",
      "countersign prune --config ledger.json --log 2026 --before-index 1000000 --retention-policy https://ledger.example.org/retention --apply",
    ],
  },
  {
    because: OWN_FILES,
    tests: [
      "test/cli/export-ocsf.test.ts",
      "test/cli/graph.test.ts",
      "test/cli/bundle.test.ts",
      "test/cli/route-test.test.ts",
      "test/cli/scan.test.ts",
      "test/scenarios/p3-2-questionnaire.test.ts",
    ],
    commands: [
      'countersign route-test --boundary evidence/sha256-….json --server crm=https://crm.example.com/mcp --from "agents\' subnet" --out routes.json',
      "countersign scan <file>",
      "countersign subject-report <bundle> --trust <policy> --subject <hash>",
    ],
  },
  {
    because: "a decision about a witness whose folder is an older copy: recovery is tested without the command",
    tests: [],
    commands: [
      'countersign witness recover --config witness.json --reason "disk replaced" --checkpoint newest-of-log-a --accept log.example/b',
    ],
  },
];
