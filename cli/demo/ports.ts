/** Chooses loopback ports at the first start: the documented ones if they are free, other free ones if not. */

import { createServer } from "node:net";

/** True if nothing listens on 127.0.0.1:`port` now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** `preferred`, each kept where it is free, else the next free port above it that is not taken by another. */
export async function choosePorts(preferred: readonly number[]): Promise<readonly number[]> {
  const chosen: number[] = [];
  for (const first of preferred) {
    let port = first;
    while (chosen.includes(port) || !(await isFree(port))) port += 100;
    chosen.push(port);
  }
  return chosen;
}
