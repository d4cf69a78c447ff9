/** Where a service listens, as configurations say it. */

import { StoreError } from "../errors.ts";
import { integer, object, optional, type Shape, string } from "../shape.ts";

/** An address to listen on. */
export type Listen = {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 takes any free port; the default is the service's own. */
  readonly port?: number;
};

/** Shape of an address. */
export const listenShape: Shape<Listen> = object<Listen>({
  host: optional(string({ pattern: /^[^\s/]+$/u, maxLength: 255, description: "a host name or address" })),
  port: optional(integer({ max: 65_535 })),
});

/** True if only this machine reaches the host. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/u.test(host);
}

/** What listens when it is told where, and resolves to its URL. */
export interface Listener {
  readonly listen: (address: Required<Listen>) => Promise<string>;
}

const WHY_NOT: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "this user may not",
  ENOTFOUND: "there is no such host",
};

/**
 * Listens. A start that fails is said in one line and is never a crash.
 *
 * @param member  the member of the configuration, or the option, that the address comes from
 * @throws {StoreError} ERR_SERVICE_START, naming member, address and reason
 */
export async function listenOn(server: Listener, member: string, address: Required<Listen>): Promise<string> {
  try {
    return await server.listen(address);
  } catch (cause) {
    throw cannotListen(member, address, cause);
  }
}

/** What {@link listenOn} throws, for servers that are started in another way. */
export function cannotListen(member: string, { host, port }: Required<Listen>, cause: unknown): StoreError {
  const name = host.includes(":") ? `[${host}]` : host;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  const why = WHY_NOT[code] === undefined ? code : `${WHY_NOT[code]} (${code})`;
  return new StoreError("ERR_SERVICE_START", `${member}: cannot listen on ${name}:${port}: ${why}`, { cause });
}
