/** `countersign up` (`npm start`): the whole system on loopback, one real agent session, one verified bundle. */

import { resolve } from "node:path";
import { type Command, EXIT, readArguments } from "../command.ts";
import { DEFAULT_PORTS, loopbackAddresses, makeLayout } from "../demo/layout.ts";
import { choosePorts } from "../demo/ports.ts";
import { makeProcesses } from "../demo/processes.ts";
import { isSetUp, setUp } from "../demo/setup.ts";
import { readTopology, servicePlans } from "../demo/topology.ts";
import { walk } from "../demo/walk.ts";
import type { Io } from "../io.ts";
import { stopRequested } from "../service.ts";
import { DEFAULT_DATA, DEFAULT_ORIGIN } from "./setup.ts";

const HELP = `countersign up [--data <folder>] [--once]

Runs the whole system on loopback: a ledger, three witnesses (quorum two), an auditor node with its console, and a
gateway before two published MCP servers. Drives a short agent session through it (allowed calls and one that the
policy denies), waits for the witnessed checkpoint, writes an evidence bundle, verifies it offline, prints what
happened and the addresses, and stays up until Ctrl-C. A second start continues the same log.

  --data <folder>  keys, configuration and data (default ${DEFAULT_DATA}); made at the first start
  --once           stop after the walk, with the exit code of the verdict
`;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, { data: { type: "string" }, once: { type: "boolean" } });
  const layout = makeLayout(resolve(io.cwd, given.text("data") ?? DEFAULT_DATA));
  if (!isSetUp(layout)) {
    io.out(`setting up in ${layout.root}\n`);
    setUp(layout, loopbackAddresses(await choosePorts(DEFAULT_PORTS)), DEFAULT_ORIGIN);
  }
  const topology = readTopology(layout);
  const processes = makeProcesses(layout.logs);
  const stopped = stopRequested();
  try {
    for (const plan of servicePlans(layout, topology)) {
      await processes.start(plan);
      io.out(`  up: ${plan.name.padEnd(10)} ${new URL(plan.readyUrl).origin}\n`);
    }
    const exit = await walk({ layout, topology, io });
    if (given.flag("once")) return exit;
    io.out("\nRunning until Ctrl-C.\n");
    await stopped;
    return EXIT.ok;
  } finally {
    await processes.stop();
  }
}

/** Runs everything on loopback. */
export const upCommand: Command = {
  name: "up",
  summary: "run the whole system on loopback with one example session",
  help: HELP,
  run,
};
