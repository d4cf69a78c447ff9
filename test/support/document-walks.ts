/** The shell blocks and spans of the documents that tests run as they stand there, and which test runs each. */

import { linesOf, shellBlock } from "./document-commands.ts";

/** A block or span by its document and its first command, and the test that runs all of it. */
interface Walk {
  readonly document: string;
  readonly first: string;
  /** A file that calls {@link walkBlock} with the walk's name. */
  readonly test: string;
}

/** Walks by name; test/house/document-commands.test.ts holds that each test takes its block from here. */
export const WALKS: Readonly<Record<string, Walk>> = {
  "first-walk": {
    document: "README.md",
    first:
      'npx countersign verify "$(ls -t .countersign/bundles/*.json | head -1)" --trust "$(ls -t .countersign/trust*.json | head -1)"',
    test: "test/slow/readme.test.ts",
  },
  mandate: {
    document: "docs/formats/mandate.md",
    first: "countersign keygen envelope --out alice.key",
    test: "test/docs/formats-mandate.test.ts",
  },
  "workflow-token": {
    document: "docs/formats/workflow-token.md",
    first: "countersign keygen envelope --alg es256 --out runner.key",
    test: "test/docs/formats-workflow-token.test.ts",
  },
  publisher: {
    document: "docs/gateway.md",
    first:
      "countersign publisher --key acme.key --name acme --server com.acme/crm --server-version 1.4.0 --url https://mcp.crm.example/mcp --not-after 2099-01-01T00:00:00.000Z --out crm.statement",
    test: "test/docs/formats-publisher.test.ts",
  },
  ledger: {
    document: "docs/ledger.md",
    first: "countersign ledger --config ledger.json",
    test: "test/slow/document-walks.test.ts",
  },
  witness: {
    document: "docs/witness.md",
    first: "npx countersign witness --config witness.json",
    test: "test/slow/document-walks.test.ts",
  },
  api: {
    document: "docs/graphql.md",
    first: "npx countersign api --config api.json",
    test: "test/slow/document-walks.test.ts",
  },
  gateway: {
    document: "docs/gateway.md",
    first: "countersign gateway --config gateway.json",
    test: "test/slow/document-walks.test.ts",
  },
  mirror: {
    document: "docs/operations.md",
    first:
      "countersign mirror --from https://ledger.example.org/2026/ --witness-policy policy.txt --to /srv/mirror --follow",
    test: "test/slow/document-walks.test.ts",
  },
  "mirror-server": {
    document: "docs/operations.md",
    first: "countersign mirror-server --config mirror.json",
    test: "test/slow/document-walks.test.ts",
  },
  "witness-key": {
    document: "docs/witness.md",
    first: "npx countersign keygen witness --name witness.example/w1 --out w1.key",
    test: "test/slow/document-walks.test.ts",
  },
  bundle: {
    document: "docs/verify.md",
    first:
      "countersign bundle --ledger http://127.0.0.1:4200 --token-file reader.token --witness-policy witnesses.txt --stream <id> --session <id> --policy policy/ --out session.bundle.json",
    test: "test/slow/document-walks.test.ts",
  },
  disclose: {
    document: "docs/gateway.md",
    first:
      "countersign disclose --bundle session.bundle.json --member request_sent --field /params/arguments --config gateway.json --out session.disclosure.json",
    test: "test/slow/document-walks.test.ts",
  },
  "disclose-for-replay": {
    document: "docs/verify.md",
    first: "countersign disclose --member detail --member request_received --bytes",
    test: "test/slow/document-walks.test.ts",
  },
  replay: {
    document: "docs/verify.md",
    first: "countersign verify session.bundle.json --trust trust.json --disclosure session.disclosure.json --replay",
    test: "test/slow/document-walks.test.ts",
  },
  graph: {
    document: "docs/verify.md",
    first: "countersign graph session.bundle.json --trust trust.json --format svg --out session.svg",
    test: "test/slow/document-walks.test.ts",
  },
  ocsf: {
    document: "docs/ocsf.md",
    first: "countersign export-ocsf session.bundle.json --trust trust.json --out events.ndjson",
    test: "test/slow/document-walks.test.ts",
  },
  backup: {
    document: "docs/operations.md",
    first: "countersign backup <data folder> --to <new folder>",
    test: "test/slow/document-walks.test.ts",
  },
  fsck: {
    document: "docs/operations.md",
    first: "countersign fsck <data folder> --origin ledger.example.org/2026 --witness-policy policy.txt",
    test: "test/slow/document-walks.test.ts",
  },
  reindex: {
    document: "docs/operations.md",
    first: "countersign reindex <data folder>",
    test: "test/slow/document-walks.test.ts",
  },
  "fsck-of-copy": {
    document: "docs/operations.md",
    first: "countersign fsck <backup>",
    test: "test/slow/document-walks.test.ts",
  },
  "fsck-by-config": {
    document: "docs/postgres-s3.md",
    first: "countersign fsck --config ledger.json [--log <name>]",
    test: "test/slow/document-walks.test.ts",
  },
  export: {
    document: "docs/operations.md",
    first:
      "countersign export <data folder | mirror folder | url> --out log.tar [--from-index 100000 --to-index 200000]",
    test: "test/slow/document-walks.test.ts",
  },
  prune: {
    document: "docs/operations.md",
    first:
      "countersign prune <data folder> --before-index 1000000 --retention-policy https://ledger.example.org/retention --dry-run",
    test: "test/slow/document-walks.test.ts",
  },
  "end-stream": {
    document: "docs/operations.md",
    first: 'countersign ledger end-stream --config ledger.json --stream <id> --reason "host retired, ticket 4711"',
    test: "test/slow/document-walks.test.ts",
  },
  freeze: {
    document: "docs/operations.md",
    first:
      'countersign ledger freeze --config ledger.json --reason "end of 2026" --successor ledger.example.org/2027 --out frozen.json',
    test: "test/slow/document-walks.test.ts",
  },
};

/** The text of a walk's block or span, comments included. @throws if there is no such walk, or the document has no such block */
export function walkBlock(name: string): string {
  const walk = WALKS[name];
  if (walk === undefined) throw new Error(`there is no walk "${name}"`);
  return shellBlock(walk.document, walk.first);
}

/** The commands of a walk's block, without comments, one a line. */
export function walkLines(name: string): readonly string[] {
  return linesOf(walkBlock(name));
}
