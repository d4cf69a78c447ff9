import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type PacedLogger, paceLogger } from "../../gateway/paced-logger.ts";
import { realWorld } from "../../gateway/real-world.ts";
import { closeServers, connectServers } from "../../gateway/servers.ts";
import type { Logger } from "../../kernel/service/service.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";

let lines: unknown[] = [];
let logger: PacedLogger;

beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  const say = (level: string) => (fields: object, message: string) => void lines.push([level, fields, message]);
  logger = paceLogger({ info: say("info"), warn: say("warn"), error: say("error") });
});
afterEach(() => {
  vi.useRealTimers();
});

const DROPPED = "a line that is no message was dropped";

describe("a paced log", () => {
  it("says each line of a few, with all of its fields, and nothing more when the minute is over", () => {
    for (let n = 0; n < 8; n += 1) logger.warn({ server: "s", fault: "json.syntax", n }, DROPPED);
    expect(lines).toHaveLength(8);
    expect(lines[7]).toEqual(["warn", { server: "s", fault: "json.syntax", n: 7 }, DROPPED]);
    vi.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(8);
  });

  it("counts what is more, exactly, for each server and reason by itself", () => {
    for (let n = 0; n < 100_000; n += 1) logger.warn({ server: "s", fault: "json.syntax" }, DROPPED);
    for (let n = 0; n < 9; n += 1) logger.warn({ server: "other", fault: "json.syntax" }, DROPPED);
    for (let n = 0; n < 9; n += 1) logger.error({ server: "s", fault: "json.syntax" }, DROPPED);
    expect(lines).toHaveLength(24);
    vi.advanceTimersByTime(60_000);
    expect(lines.slice(24)).toEqual([
      ["warn", { server: "s", fault: "json.syntax", more: 99_992 }, DROPPED],
      ["warn", { server: "other", fault: "json.syntax", more: 1 }, DROPPED],
      ["error", { server: "s", fault: "json.syntax", more: 1 }, DROPPED],
    ]);
    logger.warn({ server: "s", fault: "json.syntax" }, DROPPED);
    expect(lines).toHaveLength(28);
  });

  it("says what it has counted when it is told that the end is near, and nothing twice", () => {
    for (let n = 0; n < 10; n += 1) logger.warn({ server: "s" }, DROPPED);
    logger.flush();
    expect(lines.slice(8)).toEqual([["warn", { server: "s", more: 2 }, DROPPED]]);
    logger.flush();
    vi.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(9);
    // A minute begins anew.
    for (let n = 0; n < 9; n += 1) logger.warn({ server: "s" }, DROPPED);
    vi.advanceTimersByTime(59_999);
    expect(lines).toHaveLength(17);
    vi.advanceTimersByTime(1);
    expect(lines.slice(17)).toEqual([["warn", { server: "s", more: 1 }, DROPPED]]);
  });

  it("names the calls of the lines that it counts, up to a bound", () => {
    for (let n = 0; n < 100; n += 1) logger.error({ code: "ERR_STREAM_FAILED", call: `call-${n}` }, "failed");
    logger.flush();
    const calls = Array.from({ length: 64 }, (_, n) => `call-${8 + n}`);
    expect(lines.slice(8)).toEqual([["error", { code: "ERR_STREAM_FAILED", calls, more: 92 }, "failed"]]);
  });

  it("tells no more than so many kinds of a message apart", () => {
    for (let n = 0; n < 100_000; n += 1) logger.error({ code: `code-${n}` }, "failed");
    expect(lines).toHaveLength(1_024 + 8);
    vi.advanceTimersByTime(60_000);
    expect(lines.slice(1_032)).toEqual([["error", { more: 100_000 - 1_032 }, "failed"]]);
  });

  it("is what servers write to, whoever they are", async () => {
    const upstream = makeFakeUpstream("s");
    const world = {
      ...realWorld(),
      connect: (config: { readonly id: string }, deps: { readonly logger: Logger }) => {
        for (let n = 0; n < 100; n += 1) deps.logger.warn({ server: config.id }, DROPPED);
        return Promise.resolve(upstream);
      },
    };
    const said: unknown[] = [];
    const say = (_: object, message: string): void => void said.push(message);
    const options = {
      config: { servers: [{ transport: "http", id: "s", url: "http://127.0.0.1:1/", attributes: {} }] },
      secrets: { bearerTokens: new Map() },
      environment: {},
      software: { name: "countersign", version: "0" },
      logger: { info: say, warn: say, error: say },
    } as const;
    const connected = await connectServers(options, world);
    expect(said).toHaveLength(8);
    await closeServers(connected);
    expect(said).toHaveLength(9);
  });

  it("calls the log that it paces as what it is", () => {
    /** As many logs, one that finds its lines by itself. */
    class OwnLog implements Logger {
      readonly said: string[] = [];
      info(_: object, message: string): void {
        this.said.push(message);
      }
      warn(_: object, message: string): void {
        this.said.push(message);
      }
      error(_: object, message: string): void {
        this.said.push(message);
      }
    }
    const own = new OwnLog();
    const { info, warn, error } = paceLogger(own);
    for (const say of [info, warn, error]) say({}, "said");
    expect(own.said).toEqual(["said", "said", "said"]);
  });

  it("says information as it comes", () => {
    for (let n = 0; n < 20; n += 1) logger.info({ n }, "taken");
    expect(lines).toHaveLength(20);
  });
});
