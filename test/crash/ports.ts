/** Ports for the processes of a folder, which take them again after each kill. */

import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** No system gives ports below 32768 away by itself: what is free between two kills is nobody's else, however many listen on any port. */
const [LOWEST, BEHIND] = [20_000, 32_000];
const given = new Set<number>();

/** A port that is free now, and that no other program takes by chance while its process is down; given once. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, BEHIND);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
