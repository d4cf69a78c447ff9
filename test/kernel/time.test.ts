import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatTimestamp, parseTimestamp, timestampMs } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";

const MAX_MS = 253_402_300_799_999;

describe("a timestamp", () => {
  it("spells the bounds and some well-known instants", () => {
    const known: Readonly<Record<string, number>> = {
      "1970-01-01T00:00:00.000Z": 0,
      "2000-02-29T12:00:00.001Z": 951_825_600_001,
      "2024-12-31T23:59:59.999Z": 1_735_689_599_999,
      "2100-03-01T00:00:00.000Z": 4_107_542_400_000,
      "9999-12-31T23:59:59.999Z": MAX_MS,
    };
    for (const [text, ms] of Object.entries(known)) {
      expect(formatTimestamp(ms)).toBe(text);
      expect(timestampMs(parseTimestamp(text))).toBe(ms);
    }
  });

  it("agrees with the platform's calendar on every day of four centuries", () => {
    for (let ms = 0; ms < 400 * 366 * 86_400_000; ms += 86_400_000) {
      const text = new Date(ms).toISOString();
      if (formatTimestamp(ms) !== text || timestampMs(parseTimestamp(text)) !== ms)
        expect(formatTimestamp(ms)).toBe(text);
    }
  });

  it("agrees with it on any millisecond, and orders as text as in time", () => {
    const instants = fc.integer({ min: 0, max: MAX_MS });
    fc.assert(
      fc.property(instants, instants, (a, b) => {
        expect(formatTimestamp(a)).toBe(new Date(a).toISOString());
        expect(formatTimestamp(a) < formatTimestamp(b)).toBe(a < b);
      }),
    );
  });

  it("is refused if it does not exist", () => {
    const dates = ["2026-02-29", "2026-02-30", "2100-02-29", "2026-04-31", "2026-01-00", "2026-00-10", "2026-13-01"];
    const times = ["24:00:00.000", "12:60:00.000", "12:00:60.000", "23:59:60.000"];
    const texts = [
      ...dates.map((date) => `${date}T00:00:00.000Z`),
      ...times.map((time) => `2016-12-31T${time}Z`),
      "1969-12-31T23:59:59.999Z",
      "0000-01-01T00:00:00.000Z",
      "9999-12-31T24:00:00.000Z",
    ];
    for (const text of texts) expect([text, codeOf(() => parseTimestamp(text))]).toEqual([text, "ERR_TIMESTAMP"]);
  });

  it("is refused in any other spelling", () => {
    const good = "2026-09-28T12:34:56.789Z";
    const others = ["2026-09-28T12:34:56Z", "2026-09-28T12:34:56.7890Z", "2026-09-28T12:34:56.789+00:00", ""];
    const more = [
      good.toLowerCase(),
      ` ${good}`,
      `${good}\n`,
      good.replace("T", " "),
      good.replace("Z", ""),
      "٢".repeat(24),
    ];
    for (const text of [...others, ...more]) expect(codeOf(() => parseTimestamp(text))).toBe("ERR_TIMESTAMP");
    for (let at = 0; at < good.length; at += 1) {
      const changed = `${good.slice(0, at)}x${good.slice(at + 1)}`;
      expect(codeOf(() => parseTimestamp(changed))).toBe("ERR_TIMESTAMP");
    }
  });

  it("cannot be made of what is no millisecond before the year 10000", () => {
    for (const ms of [-1, 0.5, MAX_MS + 1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(codeOf(() => formatTimestamp(ms))).toBe("ERR_BUG");
    }
  });
});
