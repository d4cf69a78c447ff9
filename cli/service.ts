/** Runs one service until it is told to stop: readiness line, signals, graceful shutdown. */

import { type Logger as PinoLogger, pino, stdSerializers } from "pino";
import { EXIT } from "./command.ts";
import type { Io } from "./io.ts";

const SHUTDOWN_LIMIT_MS = 15_000;

/** What every `start…` function resolves to. */
export interface Service {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** The logger that services are given: JSON lines on standard error, never payloads or secrets. */
export function makeLogger(service: string, io: Io): PinoLogger {
  const level = io.env["COUNTERSIGN_LOG_LEVEL"] ?? "info";
  const redact = ["token", "authorization", "secret", "headers"];
  return pino(
    { name: service, level, redact, serializers: { err: stdSerializers.err } },
    pino.destination({ fd: 2, sync: false }),
  );
}

/**
 * Starts a service, says where it listens on standard output, and resolves when SIGINT or SIGTERM has closed it.
 *
 * @returns 0 after a clean stop, 1 when closing failed or took longer than 15 s
 */
export async function runService(name: string, start: () => Promise<Service>, io: Io): Promise<number> {
  const service = await start();
  io.out(`${JSON.stringify({ service: name, url: service.url, pid: process.pid })}\n`);
  await stopRequested();
  return closeWithin(service, SHUTDOWN_LIMIT_MS, io);
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
export function stopRequested(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      process.once("SIGINT", () => process.exit(130));
      process.once("SIGTERM", () => process.exit(143));
      resolve();
    };
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
  });
}

async function closeWithin(service: Service, limitMs: number, io: Io): Promise<number> {
  const limit = new Promise<"late">((resolve) => setTimeout(() => resolve("late"), limitMs).unref());
  try {
    if ((await Promise.race([service.close(), limit])) !== "late") return EXIT.ok;
    io.err(`countersign: the service did not stop within ${limitMs / 1000} s\n`);
  } catch (error) {
    io.err(
      `countersign: the service did not stop cleanly: ${error instanceof Error ? error.message : String(error)}\n`,
    );
  }
  return EXIT.failed;
}
