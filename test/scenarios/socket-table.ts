/** The sockets on which this process listens, from Linux' socket table. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const LISTENING = "0A";
/** IPv4 and IPv6 loopback as the table writes them. */
const LOOPBACKS: ReadonlySet<string> = new Set(["0100007F", "00000000000000000000000001000000"]);

/** A listening socket. */
export interface ListeningSocket {
  readonly port: number;
  readonly isLoopback: boolean;
}

/** All TCP sockets of this process that listen. */
export function listeningSockets(): readonly ListeningSocket[] {
  const own = ownInodes();
  return ["tcp", "tcp6"].flatMap((table) =>
    rowsOf(table).flatMap((columns) => {
      const [, local = "", , state] = columns;
      if (state !== LISTENING || !own.has(columns[9] ?? "")) return [];
      const [address = "", port = ""] = local.split(":");
      return [{ port: Number.parseInt(port, 16), isLoopback: LOOPBACKS.has(address) }];
    }),
  );
}

/** Paths of the Unix sockets of this process that listen. */
export function unixSockets(): readonly string[] {
  const own = ownInodes();
  // SPEC proc_pid_net: the flag 0x10000 is a listening socket.
  return rowsOf("unix").flatMap((columns) =>
    columns[3] === "00010000" && own.has(columns[6] ?? "") ? [columns[7] ?? ""] : [],
  );
}

function rowsOf(table: string): readonly (readonly string[])[] {
  const lines = readFileSync(`/proc/self/net/${table}`, "utf8").trimEnd().split("\n").slice(1);
  return lines.map((line) => line.trim().split(/\s+/u));
}

function ownInodes(): ReadonlySet<string> {
  const links = readdirSync("/proc/self/fd").map((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      return "";
    }
  });
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/u.exec(link)?.[1] ?? []));
}
