/** `countersign mirror`: a verified copy of any C2SP log, once or for good, and served. */

import { parseVerifierKey } from "../../kernel/note/verifier-key.ts";
import type { RunningService } from "../../kernel/service/service.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { serveMirror } from "../../ledger/mirror/mirror-routes.ts";
import { type Mirror, openMirror } from "../../ledger/mirror/run-mirror.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readText, readToken } from "../files.ts";
import type { Io } from "../io.ts";
import { makeProgress } from "../progress.ts";
import { makeLogger, runService } from "../service.ts";

const HELP = `countersign mirror --to <folder> --from <url> --witness-policy <file> [--log-key <vkey>] [--follow] [--serve <host:port>]
countersign mirror --to <folder> --serve <host:port>

Copies a log that speaks C2SP tlog-tiles into a folder. Checkpoints are taken under the policy and must be consistent
with all earlier ones; every tile and bundle is verified before it becomes visible. May be killed at any time and
started again. A log that contradicts itself is refused, and both signed checkpoints are kept under evidence/.

  --to <folder>            the mirror's folder; any file server can serve it
  --from <url>             prefix of the log
  --witness-policy <file>  log keys, witnesses, quorum (C2SP tlog-policy)
  --log-key <vkey>         a key of the log, if the policy names none
  --origin <origin>        the log must have this origin
  --token-file <file>      bearer token for entry bundles
  --follow                 go on until stopped
  --every-ms <n>           time between rounds of --follow; default 2000
  --timeout-ms <n>         bound of one request; default 30000
  --serve <host:port>      serve the folder read-only under tlog-tiles paths, until stopped

Exit: 0 up to date or stopped; 1 the log contradicts itself or shows wrong bytes, or cannot be read; 3 unusable input.
`;

const OPTIONS = {
  to: { type: "string" },
  from: { type: "string" },
  "witness-policy": { type: "string" },
  "log-key": { type: "string" },
  origin: { type: "string" },
  "token-file": { type: "string" },
  follow: { type: "boolean" },
  "every-ms": { type: "string" },
  "timeout-ms": { type: "string" },
  serve: { type: "string" },
} as const;

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS);
  const folder = given.required("to");
  const address = given.text("serve");
  if (given.text("from") === undefined && address === undefined) throw new UsageError("--from or --serve is required");
  if (address !== undefined) return runService("mirror", () => startServing(given, folder, address, io), io);
  const progress = makeProgress("mirroring", io, () => performance.now());
  const mirror = await open(given, folder, progress.update);
  try {
    if (given.flag("follow")) await follow(given, mirror, io);
    else {
      const { size, fetchedEntries } = await mirror.pull();
      progress.end();
      io.out(`${size} entries, ${fetchedEntries} new\n`);
    }
    return EXIT.ok;
  } catch (error) {
    progress.end();
    return explain(error, io);
  } finally {
    await mirror.close();
  }
}

/** What a log shows is judged with exit 1; arguments and folders are unusable with 3. */
function explain(error: unknown, io: Io): number {
  if (!(error instanceof Error) || !("code" in error)) throw error;
  io.err(`countersign mirror: ${String(error.code)}: ${error.message}\n`);
  return EXIT.failed;
}

async function open(
  given: Arguments,
  folder: string,
  onProgress: (done: number, total: number) => void,
): Promise<Mirror> {
  const [logKey, origin, tokenFile] = [given.text("log-key"), given.text("origin"), given.text("token-file")];
  const policy = parseWitnessPolicy(readText(given.required("witness-policy")));
  const logKeys = logKey === undefined ? [] : [parseVerifierKey(logKey)];
  if (policy.logs.length + logKeys.length === 0) throw new UsageError("the policy names no log: give --log-key");
  return openMirror({
    folder,
    policy,
    logKeys,
    ...(origin === undefined ? {} : { origin }),
    upstream: {
      url: readUrl(given.required("from")),
      fetch,
      timeoutMs: readNumber(given, "timeout-ms", 30_000),
      attempts: 5,
      ...(tokenFile === undefined ? {} : { token: readToken(tokenFile) }),
    },
    onProgress,
  });
}

async function follow(given: Arguments, mirror: Mirror, io: Io): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const onFault = (error: Error): void => io.err(`countersign mirror: ${error.message}\n`);
  await mirror.follow(readNumber(given, "every-ms", 2000), stop.signal, onFault);
}

/** Serves, and pulls beside it if a log is given; a log that contradicts itself ends the pulling, not the serving. */
async function startServing(given: Arguments, folder: string, address: string, io: Io): Promise<RunningService> {
  const [, host, port] = /^(.+):([0-9]{1,5})$/u.exec(address) ?? [];
  if (host === undefined || port === undefined || Number(port) > 65_535) {
    throw new UsageError("--serve: want host:port, the port from 0 to 65535");
  }
  const logger = makeLogger("mirror", io);
  const mirror = given.text("from") === undefined ? undefined : await open(given, folder, () => undefined);
  const service = await serveMirror({ folder, host, port: Number(port), logger });
  const stop = new AbortController();
  const onFault = (error: Error): void => logger.warn({ err: error }, "the log did not answer");
  const following = mirror
    ?.follow(readNumber(given, "every-ms", 2000), stop.signal, onFault)
    .catch((error: unknown) => logger.error({ err: error }, "the mirror pulls no more: the log is not to be trusted"));
  const close = async (): Promise<void> => {
    stop.abort();
    await service.close();
    await following;
    await mirror?.close();
  };
  return { url: service.url, close };
}

function readUrl(text: string): string {
  if (/^https?:\/\/[^\s]+$/u.test(text)) return text;
  throw new UsageError("--from: want an http or https URL");
}

function readNumber(given: Arguments, name: string, fallback: number): number {
  const text = given.text(name);
  if (text === undefined) return fallback;
  if (/^[1-9][0-9]{0,8}$/u.test(text)) return Number(text);
  throw new UsageError(`--${name}: want a number of milliseconds`);
}

/** Mirrors a log. */
export const mirrorCommand: Command = { name: "mirror", summary: "copy and serve a log, verified", help: HELP, run };
