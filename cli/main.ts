#!/usr/bin/env node
/** Entry point of the `countersign` command. */

import { keepCertificateChecks } from "./certificate-checks.ts";
import { processIo } from "./io.ts";
import { runCommand } from "./run.ts";

const io = processIo();
keepCertificateChecks(process.env, io.err);
process.exitCode = await runCommand(process.argv.slice(2), io);
