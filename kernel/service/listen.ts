/** Where a service listens, as configurations say it. */

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
