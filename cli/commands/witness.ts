/** `countersign witness`: cosigns the checkpoints of the logs it knows. */

import { parseWitnessConfig } from "../../witness/config.ts";
import { startWitness } from "../../witness/start.ts";
import { type Command, readArguments } from "../command.ts";
import { readJsonFile, readNoteKey } from "../files.ts";
import type { Io } from "../io.ts";
import { makeLogger, runService } from "../service.ts";

const HELP = `countersign witness --config <file>

Runs a witness (C2SP tlog-witness): POST /add-checkpoint, GET /<hex SHA-256(origin)>/checkpoint.
State is durable before a cosignature is answered. docs/witness.md explains the configuration.
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const path = readArguments(args, { config: { type: "string" } }).required("config");
  const config = readJsonFile(path, parseWitnessConfig);
  const keys = config.key_files.map(readNoteKey);
  return runService("witness", () => startWitness({ config, keys, logger: makeLogger("witness", io) }), io);
}

/** Runs a witness. */
export const witnessCommand: Command = { name: "witness", summary: "run a witness", help: HELP, run };
