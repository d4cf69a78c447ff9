import { describe, expect, it } from "vitest";
import { WitnessHealth } from "../../ledger/checkpoint/witness-health.ts";
import { readReply } from "../../ledger/checkpoint/witness-reply.ts";

const world = { ms: 1_000_000 };
const make = (random = 0): WitnessHealth =>
  new WitnessHealth("http://w", { nowMs: () => world.ms, random: () => random });

describe("the health of a witness", () => {
  it("leaves it alone for a time that doubles from the second failure on, up to half a minute", () => {
    const health = make(1);
    const waits: number[] = [];
    for (let i = 0; i < 12; i += 1) {
      health.failed("no connection");
      const start = world.ms;
      while (!health.mayBeAsked) world.ms += 50;
      waits.push(world.ms - start);
    }
    expect(waits).toEqual([0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000, 30_000]);
    health.succeeded(12.4);
    expect(health.mayBeAsked).toBe(true);
    expect(health.view()).toMatchObject({ consecutive_failures: 0, latency_ms: 12, last_error: "no connection" });
  });

  it("waits as long as the witness asks, within bounds, and spreads the rest", () => {
    const [asked, early] = [make(), make()];
    asked.failed("status 429", 7000);
    world.ms += 6999;
    expect(asked.mayBeAsked).toBe(false);
    world.ms += 1;
    expect(asked.mayBeAsked).toBe(true);
    asked.failed("status 429", 10_000_000);
    world.ms += 30_000;
    expect(asked.mayBeAsked).toBe(true);
    early.failed("x");
    early.failed("x");
    world.ms += 250;
    expect(early.mayBeAsked).toBe(true);
  });

  it("reads Retry-After in seconds and nothing else", () => {
    const wait = (retryAfter: string): number | undefined => {
      const reply = readReply({ status: 429, contentType: "", body: new Uint8Array(0), retryAfter }, "", []);
      return reply.kind === "fault" ? reply.retryAfterMs : undefined;
    };
    expect(["5", "999999", "-1", "", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT"].map(wait)).toEqual([
      5000,
      3_600_000,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
