/** `countersign setup`: keys, tokens and configuration files of a whole topology. */

import { resolve } from "node:path";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { type Addresses, composeAddresses, DEFAULT_PORTS, loopbackAddresses, makeLayout } from "../demo/layout.ts";
import { choosePorts } from "../demo/ports.ts";
import { isSetUp, setUp } from "../demo/setup.ts";
import type { Io } from "../io.ts";

/** The data folder of `setup` and `up` unless `--data` names another. */
export const DEFAULT_DATA = ".countersign";

const HELP = `countersign setup [--data <folder>] [--origin <origin>] [--topology loopback|compose]

Makes what a ledger, three witnesses (quorum two), an auditor node and a gateway need: keys, tokens, the witness
policy, and one configuration file a service, under <folder> (default ${DEFAULT_DATA}). Replaces nothing.

  --origin <origin>    the log's identity line (default countersign.localhost/log)
  --topology loopback  everything on 127.0.0.1, on the documented ports where they are free (default)
  --topology compose   one container a service, as in docker-compose.yml

Then "countersign <service> --config <folder>/config/<service>.json" runs each service.
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const options = { data: { type: "string" }, origin: { type: "string" }, topology: { type: "string" } } as const;
  const given = readArguments(args, options);
  const layout = makeLayout(resolve(io.cwd, given.text("data") ?? DEFAULT_DATA));
  if (isSetUp(layout)) {
    io.out(`${layout.root} is set up already; nothing was changed\n`);
    return EXIT.ok;
  }
  setUp(layout, await addressesOf(given.text("topology") ?? "loopback"), given.text("origin") ?? DEFAULT_ORIGIN);
  io.out(`made keys, tokens and configuration in ${layout.root}\n`);
  return EXIT.ok;
}

/** The origin of a log that nobody named. */
export const DEFAULT_ORIGIN = "countersign.localhost/log";

async function addressesOf(topology: string): Promise<Addresses> {
  if (topology === "compose") return composeAddresses();
  if (topology === "loopback") return loopbackAddresses(await choosePorts(DEFAULT_PORTS));
  throw new UsageError(`--topology must be loopback or compose, not "${topology}"`);
}

/** Prepares a topology. */
export const setupCommand: Command = {
  name: "setup",
  summary: "make keys, tokens and configuration for a whole topology",
  help: HELP,
  run,
};
