/**
 * Threads of the gateway's process. A thread has handles and modules of its own, so none may be started but those that are
 * declared, by the guard itself, with options that nobody else chooses; and in each of them the same guard stands, with less
 * allowed, before any other code runs (guarded-thread.ts).
 *
 * The lock is on the handle that every thread starts by, also those of a class that was kept and of loader hooks.
 */

import { createHash } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import workerThreads, { MessageChannel, type MessagePort, type WorkerOptions } from "node:worker_threads";
import { BugError, CheckError, invariant } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { DeclaredEgress, DeclaredThread } from "./egress-config.ts";
import type { EgressWay, RefusedEgress } from "./egress-guard.ts";
import { isCallable, lock, objectOf } from "./lock.ts";

/** What a thread is handed; `data` goes to its module. */
export interface ThreadOrder {
  /** The file that is imported once the guard stands. */
  readonly module: string;
  /** What the guard allows; undefined if none stands in the process. */
  readonly egress: Omit<DeclaredEgress, "threads"> | undefined;
  /** Where the guard's refusals go. */
  readonly alarms: MessagePort;
  readonly data: unknown;
}

/** This side of a thread. It keeps no process alive: what waits for it has a timer of its own. */
export interface NamedThread {
  /** `onEnded` is told why it ends, and once more that it has. */
  readonly listen: <M>(onMessage: (message: M) => void, onEnded: (error: unknown) => void) => void;
  readonly tell: (message: unknown) => void;
  /** Ends it, wherever it is. */
  readonly terminate: () => Promise<unknown>;
}

/**
 * Starts a declared thread; it may still fail, and says so by `error`.
 *
 * @throws {CheckError} ERR_EGRESS if it is not declared, or its file is another one than when the guard was set up
 */
export type StartThread = (name: string, data: unknown) => NamedThread;

type Refuse = (way: EgressWay, destination: string) => void;

/** A declared thread, and what its files were when the guard was set up. */
interface KnownThread extends DeclaredThread {
  readonly digest: string;
}

const ENTRY = fileURLToPath(new URL("./guarded-thread.js", import.meta.url));
/** All compiled code of ours is below it. */
const PACKAGE = dirname(dirname(dirname(ENTRY)));

/** Refuses every thread but the declared ones. @returns what starts those */
export function guardThreads(declared: Pick<DeclaredEgress, "threads" | "privateHosts">, refuse: Refuse): StartThread {
  const { Worker } = workerThreads;
  const known = declared.threads.map((thread): KnownThread => ({ ...thread, digest: digestOf(thread) }));
  const { begins, startOne } = lockHandle(new Probe(Worker), refuse);
  if (begins > 0) refuse("thread", `${begins} that began before the guard`);
  lock(workerThreads, "Worker", () => {
    return function Refused(): never {
      refuse("thread", "worker");
      throw threadError("a thread");
    };
  });
  return (name, data) => {
    const thread = known.find((each) => each.name === name);
    if (thread === undefined || digestOf(thread) !== thread.digest) {
      refuse("thread", name);
      throw threadError(thread === undefined ? `the thread ${name}` : `the replaced thread ${name}`);
    }
    return namedThread(startOne(() => open(Worker, orderOf(thread, declared.privateHosts, data, refuse))));
  };
}

/** Starts declared threads where the network holds egress and no guard stands. */
export function startUnguarded(threads: readonly DeclaredThread[]): StartThread {
  return (name, data) => {
    const thread = threads.find((each) => each.name === name);
    invariant(thread !== undefined, `no thread ${name}`);
    digestOf(thread);
    const { port2: alarms } = new MessageChannel();
    return namedThread(open(workerThreads.Worker, { module: thread.module, egress: undefined, alarms, data }));
  };
}

function namedThread(worker: workerThreads.Worker): NamedThread {
  worker.unref();
  return {
    listen: (onMessage, onEnded) => {
      worker.on("message", onMessage);
      worker.on("error", onEnded);
      worker.on("exit", (code) => onEnded(new BugError(`a thread ended with code ${code}`)));
    },
    tell: (message) => worker.postMessage(message),
    terminate: () => worker.terminate(),
  };
}

/** A thread that does nothing: it has the handle, and its number says whether others were there before. */
class Probe {
  readonly handle: object;
  readonly begins: number;

  constructor(Worker: typeof workerThreads.Worker) {
    const worker = new Worker("", optionsOf({ eval: true, stdout: true, stderr: true }));
    this.begins = worker.threadId - 1;
    this.handle = handleOf(worker);
    worker.on("error", () => undefined);
    worker.unref();
    void worker.terminate();
  }
}

/** From here on a thread starts only within `startOne`, one, and the one that this makes. */
function lockHandle(
  { handle, begins }: Probe,
  refuse: Refuse,
): { readonly begins: number; readonly startOne: (make: () => workerThreads.Worker) => workerThreads.Worker } {
  let isExpected = false;
  let started: unknown;
  lock(objectOf(Object.getPrototypeOf(handle)), "startThread", (original) => {
    return function startThread(this: unknown, ...args: readonly unknown[]): unknown {
      if (!isExpected) {
        refuse("thread", "worker");
        throw threadError("a thread");
      }
      isExpected = false;
      started = this;
      return Reflect.apply(original, this, args);
    };
  });
  const startOne = (make: () => workerThreads.Worker): workerThreads.Worker => {
    isExpected = true;
    try {
      const worker = make();
      if (handleOf(worker) === started) return worker;
      throw threadError("a thread in the place of ours");
    } finally {
      [isExpected, started] = [false, undefined];
    }
  };
  return { begins: isMainThread() ? begins : 0, startOne };
}

/** In a thread the numbers of others say nothing. */
function isMainThread(): boolean {
  return workerThreads.isMainThread;
}

function handleOf(worker: object): object {
  const values = Object.getOwnPropertySymbols(worker).map((symbol): unknown => Reflect.get(worker, symbol));
  const handle = values.find((value) => isCallable(Reflect.get(Object(value), "startThread")));
  return objectOf(handle);
}

function orderOf(thread: KnownThread, privateHosts: readonly string[], data: unknown, refuse: Refuse): ThreadOrder {
  const { port1, port2 } = new MessageChannel();
  port1.on("message", ({ way, destination }: RefusedEgress) => refuse(way, `${destination} (${thread.name})`));
  port1.unref();
  const egress = { destinations: thread.destinations, privateHosts, children: [], ownNames: [] };
  return { module: thread.module, egress, alarms: port2, data };
}

function open(Worker: typeof workerThreads.Worker, order: ThreadOrder): workerThreads.Worker {
  return new Worker(ENTRY, optionsOf({ workerData: order, transferList: [order.alarms] }));
}

/** Every option is said here: what is not would be looked for where anybody can put it. */
function optionsOf(given: WorkerOptions): WorkerOptions {
  return {
    argv: [],
    // No variable, so no NODE_OPTIONS; no flag of the process, so nothing is loaded before.
    env: {},
    execArgv: [],
    eval: false,
    stdin: false,
    stdout: false,
    stderr: false,
    trackUnmanagedFds: true,
    transferList: [],
    workerData: undefined,
    resourceLimits: {},
    ...given,
  };
}

/** SHA-256 of the files that a thread begins with. @throws {CheckError} ERR_EGRESS if they are not ours */
function digestOf({ module }: DeclaredThread): string {
  const home = realpathSync(PACKAGE);
  const hash = createHash("sha256");
  for (const path of [ENTRY, module]) {
    // A link that leads out of the package would be another's code under our name.
    const isOurs = path === resolve(path) && path.startsWith(PACKAGE + sep);
    if (!isOurs || realpathSync(path) !== join(home, path.slice(PACKAGE.length))) {
      throw threadError(`the thread ${path}`);
    }
    hash.update(readFileSync(path)).update("\n");
  }
  return formatHex(new Uint8Array(hash.digest()));
}

function threadError(what: string): CheckError {
  return new CheckError("ERR_EGRESS", `the configuration declares no connection to ${what}`);
}
