/** The shell blocks of the documents that tests run as they stand there, and which test runs each. */

import { linesOf, shellBlock } from "./document-commands.ts";

/** A block by its document and its first command, and the test that runs all of it. */
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
};

/** The text of a walk's block, comments included. @throws if there is no such walk, or the document has no such block */
export function walkBlock(name: string): string {
  const walk = WALKS[name];
  if (walk === undefined) throw new Error(`there is no walk "${name}"`);
  return shellBlock(walk.document, walk.first);
}

/** The commands of a walk's block, without comments, one a line. */
export function walkLines(name: string): readonly string[] {
  return linesOf(walkBlock(name));
}
