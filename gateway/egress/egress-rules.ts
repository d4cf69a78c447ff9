/**
 * Which connections may leave the process. A name is allowed by declaration; an address if it was declared itself, or if the
 * resolver gave it for a declared name just now: what is connected to is checked, not only what was asked for.
 */

import { realpathSync } from "node:fs";
import { isIP } from "node:net";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { canonicalHost, isLocalName, isPrivateAddress } from "./address.ts";
import type { DeclaredChild, DeclaredEgress } from "./egress-config.ts";

/** Addresses of names that are remembered; the oldest go first. */
const MAX_ADDRESSES = 4096;

/** The rules of one process. */
export class EgressRules {
  /** What they were made of. */
  readonly declared: DeclaredEgress;
  /** Ports by host. */
  readonly #ports = new Map<string, Set<number>>();
  /** Ports by address that the resolver gave for a declared name. */
  readonly #resolved = new Map<string, Set<number>>();
  readonly #children: readonly (DeclaredChild & { readonly files: ReadonlySet<string> })[];

  /** @param path  value of PATH, where commands are looked for */
  constructor(declared: DeclaredEgress, path: string) {
    this.declared = declared;
    for (const { host, port } of declared.destinations) {
      const ports = this.#ports.get(host) ?? new Set();
      this.#ports.set(host, ports.add(port));
    }
    this.#children = declared.children.map((child) => ({ ...child, files: filesOf(child, path) }));
  }

  /** May somebody ask for a connection to this host and port? */
  allowsHost(host: string, port: number): boolean {
    return this.#ports.get(canonicalHost(host))?.has(port) === true;
  }

  /** May the resolver be asked for this name? */
  allowsName(name: string): boolean {
    const host = canonicalHost(name);
    return this.#ports.has(host) || this.declared.ownNames.includes(host);
  }

  /**
   * Takes what the resolver gave for a declared name.
   *
   * @returns false for an address that this name must not have: then nothing may connect to it
   */
  learn(name: string, address: string): boolean {
    const host = canonicalHost(name);
    const ports = this.#ports.get(host);
    const given = canonicalHost(address);
    if (ports === undefined) return this.declared.ownNames.includes(host);
    if (isIP(host) === 0 && isPrivateAddress(given) && !this.#mayBePrivate(host)) return false;
    const known = this.#resolved.get(given) ?? new Set();
    this.#resolved.delete(given);
    this.#resolved.set(given, new Set([...known, ...ports]));
    const [oldest] = this.#resolved.keys();
    if (this.#resolved.size > MAX_ADDRESSES && oldest !== undefined) this.#resolved.delete(oldest);
    return true;
  }

  /** May this address be connected to at this port? */
  allowsAddress(address: string, port: number): boolean {
    const given = canonicalHost(address);
    return this.#ports.get(given)?.has(port) === true || this.#resolved.get(given)?.has(port) === true;
  }

  /** May this program be started with these arguments? @param argv  with the program's own name in front */
  allowsChild(file: string, argv: readonly string[]): boolean {
    const args = argv.slice(1);
    return this.#children.some(
      (child) =>
        child.files.has(file) && child.args.length === args.length && child.args.every((arg, i) => arg === args[i]),
    );
  }

  #mayBePrivate(host: string): boolean {
    return isLocalName(host) || this.declared.privateHosts.includes(host);
  }
}

/** The command as it is written, and the files that it can mean. */
function filesOf({ command, cwd }: DeclaredChild, path: string): ReadonlySet<string> {
  const folders = path.split(delimiter).filter((folder) => isAbsolute(folder));
  const candidates = command.includes("/")
    ? [resolve(cwd ?? ".", command)]
    : folders.map((folder) => join(folder, command));
  return new Set([command, ...candidates, ...candidates.map(realPathOf)]);
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
