/** `countersign mirror-server`: a mirror that logs push to. */

import { parseReceiverConfig } from "../../ledger/mirror/receiver-config.ts";
import { startReceiver } from "../../ledger/mirror/start-receiver.ts";
import { type Command, readArguments } from "../command.ts";
import { readJsonFile, readNoteKey } from "../files.ts";
import type { Io } from "../io.ts";
import { makeLogger, runService } from "../service.ts";

const HELP = `countersign mirror-server --config <file>

Runs a mirror that logs push to (C2SP tlog-mirror): POST /add-checkpoint and /add-entries; each log is served below
/<hex SHA-256(origin)>/ under tlog-tiles paths. The mirror's cosignature is given only when everything is durable.
/healthz, /readyz and /metrics are for its operator.

  --config <file>  JSON: listen {host, port}, data_dir, key_files (note keys of type 4 or 6), logs [{origin, keys}]
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const path = readArguments(args, { config: { type: "string" } }).required("config");
  const config = readJsonFile(path, parseReceiverConfig);
  const keys = config.key_files.map(readNoteKey);
  return runService("mirror", () => startReceiver({ config, keys, logger: makeLogger("mirror", io) }), io);
}

/** Runs a mirror. */
export const mirrorServerCommand: Command = {
  name: "mirror-server",
  summary: "run a mirror that logs push to",
  help: HELP,
  run,
};
