/** `countersign api`: the auditor node. */

import { parseApiConfig } from "../../api/config.ts";
import { startApi } from "../../api/start.ts";
import { type Command, readArguments } from "../command.ts";
import { readJsonFile, readToken } from "../files.ts";
import type { Io } from "../io.ts";
import { makeLogger, runService } from "../service.ts";
import { packageVersion } from "../version.ts";

const HELP = `countersign api --config <file>

Runs an auditor node: follows ledgers that it does not trust through their read path, verifies all of it again, and
answers POST /graphql with proofs. GET / is the console. docs/graphql.md explains the configuration.
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const path = readArguments(args, { config: { type: "string" } }).required("config");
  const config = readJsonFile(path, parseApiConfig);
  const ledgers = config.ledgers.flatMap(({ name, reader_token_file: file }) =>
    file === undefined ? [] : [[name, readToken(file)] as const],
  );
  const tokens = { readers: (config.reader_token_files ?? []).map(readToken), ledgers: new Map(ledgers) };
  const logger = makeLogger("api", io);
  return runService("api", () => startApi({ config, tokens, version: packageVersion(), logger }), io);
}

/** Runs an auditor node. */
export const apiCommand: Command = {
  name: "api",
  summary: "run an auditor node: GraphQL and console",
  help: HELP,
  run,
};
