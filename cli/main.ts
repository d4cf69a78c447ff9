#!/usr/bin/env node
/** Entry point of the `countersign` command. */

import { processIo } from "./io.ts";
import { runCommand } from "./run.ts";

process.exitCode = await runCommand(process.argv.slice(2), processIo());
