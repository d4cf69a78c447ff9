/**
 * The one place through which every connection of the gateway's process goes. It stands at the lowest JavaScript there is,
 * the handles of TCP, pipes, UDP, DNS and child processes, so that what a dependency opens by itself, by whatever module,
 * or through functions that it took before, is refused as well. Threads, which have handles of their own, are refused but
 * for the declared ones, in which the same guard stands (thread-guard.ts).
 *
 * It does not hold native code, nor what a child does; docs/operations.md says what does.
 */

import childProcess from "node:child_process";
import dgram from "node:dgram";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import { constants } from "node:os";
import { CheckError } from "../../kernel/errors.ts";
import { canonicalHost } from "./address.ts";
import type { EgressRules } from "./egress-rules.ts";
import { isCallable, lock, objectOf, type Replaced } from "./lock.ts";
import { guardLookups } from "./lookup-guard.ts";
import { guardThreads, type StartThread } from "./thread-guard.ts";

/** By what way something was about to leave. */
export const EGRESS_WAYS = ["tcp", "pipe", "udp", "dns", "process", "thread", "binding"] as const;
export type EgressWay = (typeof EGRESS_WAYS)[number];

/** Something that was refused. The destination goes to the gateway's own log, and no further. */
export interface RefusedEgress {
  readonly way: EgressWay;
  readonly destination: string;
}

/** A guard that stands. */
export interface EgressGuard {
  /** Who is told of refusals; those before are told at once. */
  readonly onRefused: (listener: (refused: RefusedEgress) => void) => void;
  /** The only way to start a thread. */
  readonly startThread: StartThread;
}

/** What the kernel would say of a connection that may not be made. */
const EACCES = -constants.errno.EACCES;
/** No program anywhere: whoever starts it is told as of any other that is not there. */
const NO_PROGRAM = "/proc/self/fd/-1";
const MAX_EARLY = 256;

/** Sets the guard up, for the rest of the process's life. */
export function installEgressGuard(rules: EgressRules): EgressGuard {
  const early: RefusedEgress[] = [];
  let listener = (refused: RefusedEgress): void => {
    if (early.length < MAX_EARLY) early.push(refused);
  };
  const refuse = (way: EgressWay, destination: string): void => listener({ way, destination });
  // Handles are looked up before anything is locked.
  const tcp = tcpPrototype();
  const udp = udpPrototype();
  guardSockets(rules, refuse);
  for (const name of ["connect", "connect6"]) lock(tcp, name, (original) => tcpConnect(original, rules, refuse));
  for (const name of ["send", "send6", "connect", "connect6"]) lock(udp, name, () => refusing(refuse, "udp", 1));
  guardLookups(rules, (name) => refuse("dns", name));
  guardProcesses(rules, refuse);
  const startThread = guardThreads(rules.declared, refuse);
  guardBindings(rules, refuse);
  syncBuiltinESMExports();
  return {
    startThread,
    onRefused: (told) => {
      listener = told;
      for (const refused of early.splice(0)) told(refused);
    },
  };
}

type Refuse = (way: EgressWay, destination: string) => void;

/** The error of a socket that is refused before it begins. */
function egressError(destination: string): CheckError {
  return new CheckError("ERR_EGRESS", `the configuration declares no connection to ${destination}`);
}

/** Names are refused before anybody asks a resolver for them; pipes and unix sockets always. */
function guardSockets(rules: EgressRules, refuse: Refuse): void {
  lock(net.Socket.prototype, "connect", (original) => {
    return function connect(this: unknown, ...args: readonly unknown[]): unknown {
      const target = targetOf(args);
      const isPipe = typeof target === "string";
      if (!isPipe && (target === undefined || isAllowed(rules, target))) {
        return Reflect.apply(original, this, args);
      }
      const destination = isPipe ? target : `${target.host}:${target.port}`;
      refuse(isPipe ? "pipe" : "tcp", destination);
      return Reflect.apply(original, this, refusedArguments(args, destination));
    };
  });
}

/**
 * A connection to a name that does not resolve: whoever opened the socket is told as of any other failure, and when it
 * listens. An error that came sooner would find no listener and end the process.
 */
function refusedArguments(args: readonly unknown[], destination: string): readonly unknown[] {
  const lookup = (_name: string, _options: object, done: (error: Error) => void): void =>
    process.nextTick(done, egressError(destination));
  const options = { host: "refused.invalid", port: 1, lookup, autoSelectFamily: false };
  const given = Array.isArray(args[0]) ? args[0] : args;
  const callback: unknown = given.at(-1);
  return isCallable(callback) ? [options, callback] : [options];
}

/** A declared name, or an address of one that somebody has looked up before. */
function isAllowed(rules: EgressRules, { host, port }: { readonly host: string; readonly port: number }): boolean {
  return rules.allowsHost(host, port) || rules.allowsAddress(host, port);
}

/** Where `Socket.connect` would go: a path, or host and port; undefined if it is told in a way that the handle decides. */
function targetOf(args: readonly unknown[]): string | { readonly host: string; readonly port: number } | undefined {
  const [first, second] = args;
  const given: unknown = Array.isArray(first) ? first[0] : first;
  if (typeof given === "object" && given !== null) {
    const path: unknown = Reflect.get(given, "path");
    if (typeof path === "string" && path !== "") return path;
    const host: unknown = Reflect.get(given, "host");
    return { host: typeof host === "string" ? host : "localhost", port: Number(Reflect.get(given, "port")) };
  }
  if (typeof given === "string" && !/^\d+$/u.test(given)) return given;
  return { host: typeof second === "string" ? second : "localhost", port: Number(given) };
}

/** The last step of every TCP connection: the address itself. */
function tcpConnect(original: Replaced, rules: EgressRules, refuse: Refuse): Replaced {
  return function connect(this: unknown, ...args: readonly unknown[]): unknown {
    const [, address, port] = args;
    if (typeof address === "string" && rules.allowsAddress(address, Number(port))) {
      return Reflect.apply(original, this, args);
    }
    refuse("tcp", `${canonicalHost(String(address))}:${String(port)}`);
    return EACCES;
  };
}

function refusing(refuse: Refuse, way: EgressWay, at: number): Replaced {
  return (...args: readonly unknown[]) => {
    refuse(way, typeof args[at] === "string" ? args[at] : way);
    return EACCES;
  };
}

/** The prototype behind every TCP handle: a socket has one as soon as it is about to look a name up. */
function tcpPrototype(): object {
  const socket = new net.Socket();
  socket.on("error", () => undefined);
  socket.connect({ host: "guard.invalid", port: 9, lookup: () => undefined });
  const handle: unknown = Reflect.get(socket, "_handle");
  socket.destroy();
  return prototypeOf(handle);
}

function udpPrototype(): object {
  const socket = dgram.createSocket("udp4");
  const states = Object.getOwnPropertySymbols(socket).map((symbol): unknown => Reflect.get(socket, symbol));
  const state = states.find((each) => typeof each === "object" && each !== null && "handle" in each);
  const handle: unknown = state === undefined ? undefined : Reflect.get(Object(state), "handle");
  socket.close();
  return prototypeOf(handle);
}

/** Only what the configuration starts, with exactly its arguments. */
function guardProcesses(rules: EgressRules, refuse: Refuse): void {
  const handle: unknown = Reflect.get(new childProcess.ChildProcess(), "_handle");
  lock(prototypeOf(handle), "spawn", (original) => {
    return function spawn(this: unknown, ...args: readonly unknown[]): unknown {
      const [options] = args;
      const file: unknown = Reflect.get(Object(options), "file");
      const argv: unknown = Reflect.get(Object(options), "args");
      const words = Array.isArray(argv) ? argv.map(String) : [];
      if (typeof file === "string" && rules.allowsChild(file, words)) return Reflect.apply(original, this, args);
      refuse("process", String(file));
      return Reflect.apply(original, this, [{ ...Object(options), file: NO_PROGRAM }]);
    };
  });
  for (const name of ["spawnSync", "execSync", "execFileSync"]) {
    lock(childProcess, name, () => () => {
      refuse("process", name);
      throw egressError(name);
    });
  }
}

/** The raw bindings, while they can still be had: synchronous processes and the resolver; then nobody gets them any more. */
function guardBindings(rules: EgressRules, refuse: Refuse): void {
  const binding: unknown = Reflect.get(process, "binding");
  if (!isCallable(binding)) return;
  const get = (name: string): object => objectOf(Reflect.apply(binding, process, [name]));
  lock(get("spawn_sync"), "spawn", () => () => {
    refuse("process", "spawnSync");
    throw egressError("a process");
  });
  lock(get("cares_wrap"), "getaddrinfo", (original) => {
    return function getaddrinfo(this: unknown, ...args: readonly unknown[]): unknown {
      const [, name] = args;
      if (typeof name === "string" && rules.allowsName(name)) return Reflect.apply(original, this, args);
      refuse("dns", String(name));
      return EACCES;
    };
  });
  const pipes: unknown = Reflect.get(get("pipe_wrap"), "Pipe");
  if (isCallable(pipes)) lock(objectOf(Reflect.get(pipes, "prototype")), "connect", () => refusing(refuse, "pipe", 1));
  lock(process, "binding", () => () => {
    refuse("binding", "binding");
    throw egressError("a binding");
  });
  // What the gateway needs of native code is loaded by now; a new add-on would have sockets of its own.
  lock(process, "dlopen", () => (_module: unknown, file: unknown) => {
    refuse("binding", String(file));
    throw egressError("a native add-on");
  });
}

function prototypeOf(handle: unknown): object {
  return objectOf(Object.getPrototypeOf(objectOf(handle)));
}
