/**
 * A child process that speaks JSON lines: minimal environment, a process group of its own, standard error drained and
 * never passed on. Ending it goes by steps: its input closes, SIGTERM, SIGKILL, each for the whole group.
 */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { isOneLine } from "../wire/one-line.ts";
import { type LineListener, LineReader } from "./line-reader.ts";
import type { UpstreamLimits } from "./upstream-limits.ts";

/** What is started. */
export interface ChildOptions extends LineListener {
  readonly executable: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly limits: UpstreamLimits;
  /** Called once, when the process is gone or could not be started. */
  readonly onExit: () => void;
}

/** A running child. */
export interface Child {
  /** False if its input is closed, if it has left too much of it unread, or if the message is no line: then nothing was sent. */
  readonly send: (message: Uint8Array) => boolean;
  /** The last line of its standard error, cut: for the error of a start that failed. */
  readonly lastWords: () => string;
  readonly stop: () => Promise<void>;
}

const INHERITED = /^(?:PATH|HOME|LANG|LC_[A-Z]+|TZ|TMPDIR|SystemRoot)$/u;
const LAST_WORDS = 200;
const MAX_UNREAD_BYTES = 64 * 1024 * 1024;
const LINE_FEED = Uint8Array.of(0x0a);

/** The few variables that every child gets, and those of its configuration. */
export function childEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  own: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const inherited = Object.entries(environment).flatMap(([name, value]): [string, string][] =>
    value !== undefined && INHERITED.test(name) ? [[name, value]] : [],
  );
  return { ...Object.fromEntries(inherited), ...own };
}

/** Starts it. A start that fails is an exit. */
export function startChild(options: ChildOptions): Child {
  const { executable, args, env, cwd, limits } = options;
  const child = spawn(executable, args, { env: { ...env }, cwd, detached: true, stdio: "pipe", windowsHide: true });
  let words = "";
  let isGone = false;
  const gone = new Promise<void>((resolve) => {
    const onGone = (): void => {
      if (isGone) return;
      isGone = true;
      resolve();
      options.onExit();
    };
    child.once("error", onGone);
    child.once("close", onGone);
  });
  const lines = new LineReader(limits.maxMessageBytes, options);
  child.stdout.on("data", (chunk: Uint8Array) => lines.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => {
    words = `${words}${chunk.toString("utf8", Math.max(0, chunk.length - LAST_WORDS))}`.slice(-LAST_WORDS);
  });
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on("error", () => undefined);
  return {
    send: (message) => {
      if (isGone || !child.stdin.writable || child.stdin.writableLength > MAX_UNREAD_BYTES) return false;
      // Behind a line end would be a message that nobody has decided.
      if (!isOneLine(message)) return false;
      child.stdin.write(message);
      child.stdin.write(LINE_FEED);
      return true;
    },
    lastWords: () => words.trim().split("\n").at(-1) ?? "",
    stop: () => stopChild(child, gone, limits),
  };
}

async function stopChild(
  child: ChildProcessWithoutNullStreams,
  gone: Promise<void>,
  { stopMs, killMs }: UpstreamLimits,
): Promise<void> {
  child.stdin.end();
  if (!(await isWithin(gone, stopMs))) {
    signalGroup(child, "SIGTERM");
    if (!(await isWithin(gone, killMs))) signalGroup(child, "SIGKILL");
  }
  // Grandchildren may have outlived it, and may hold its pipes.
  signalGroup(child, "SIGKILL");
  child.stdout.destroy();
  child.stderr.destroy();
  await gone;
}

function signalGroup({ pid }: ChildProcessWithoutNullStreams, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is empty.
  }
}

function isWithin(event: Promise<void>, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), limitMs);
    void event.then(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
