import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SseReader } from "../../gateway/upstream/sse-reader.ts";
import { readMessage } from "../../gateway/wire/rpc.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";

const VALID = formatUtf8(
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t\\u00e9","arguments":{"a":[1,-2.5e3,true,null],"é":{"b":"x"}}}}',
);

describe("the scan of hostile bytes", () => {
  it("gives a verdict on every truncation and every one-byte change, and never throws", () => {
    for (let at = 0; at < VALID.length; at += 1) {
      expect(readMessage(VALID.slice(0, at), "ingress", 65_536).type).toBe("fault");
      for (const value of [0x00, 0x22, 0x5c, 0x7b, 0x7d, 0x80, 0xff]) {
        const changed = VALID.slice();
        changed[at] = value;
        expect(["fault", "request", "notification"]).toContain(readMessage(changed, "ingress", 65_536).type);
      }
    }
  });

  it("gives a verdict on any bytes, and accepts only what JSON.parse reads the same", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), fc.json().map(formatUtf8)), (bytes) => {
        const message = readMessage(new Uint8Array(bytes), "egress", 65_536);
        if (message.type !== "fault") expect({ ...message.value }).toEqual(JSON.parse(message.text));
      }),
    );
  });
});

describe("server-sent events", () => {
  it("are the same whatever the chunks and the line ends", () => {
    const events = ['{"a":1}', "first\nsecond", "é\u{1f600}"];
    fc.assert(
      fc.property(fc.constantFrom("\n", "\r\n", "\r"), fc.array(fc.integer({ min: 1, max: 9 })), (end, sizes) => {
        const text = events
          .map(
            (event) =>
              `: comment${end}id: 7${end}${event
                .split("\n")
                .map((line) => `data: ${line}${end}`)
                .join("")}${end}`,
          )
          .join("");
        const bytes = formatUtf8(`${text}data: unfinished${end}`);
        const reader = new SseReader(1_000);
        const found: string[] = [];
        for (let at = 0, i = 0; at < bytes.length; i += 1) {
          const size = sizes[i % Math.max(sizes.length, 1)] ?? 1;
          found.push(...(reader.push(bytes.slice(at, at + size)) ?? []));
          at += size;
        }
        expect(found).toEqual(events);
      }),
    );
  });

  it("above the bound are no events", () => {
    expect(new SseReader(100).push(formatUtf8(`data: ${"x".repeat(200)}`))).toBeUndefined();
    expect(new SseReader(100).push(formatUtf8("data: xxxxxxxxx\n".repeat(20)))).toBeUndefined();
  });

  it.each(["\n", ": a\n", "retry: 1\n", "event: x\n\n", "data:\n\n", "junk\r\n"])(
    "ends where %j comes without end, and counts anew behind each event",
    (line) => {
      const chunk = formatUtf8(line.repeat(Math.floor(65_536 / line.length)));
      const chunksUntilEnd = (reader: SseReader): number => {
        for (let chunks = 1; chunks <= 40; chunks += 1) if (reader.push(chunk) === undefined) return chunks;
        return Number.POSITIVE_INFINITY;
      };
      expect(chunksUntilEnd(new SseReader(16_777_216))).toBeLessThanOrEqual(34);
      const reader = new SseReader(16_777_216);
      for (let i = 0; i < 100; i += 1) {
        expect(reader.push(chunk)).toEqual([]);
        expect(reader.push(formatUtf8("data: event\n\n"))).toHaveLength(1);
      }
    },
  );

  it("takes data of any lines up to its bound", () => {
    const data = "data: x\n".repeat(200_000);
    expect(new SseReader(16_777_216).push(formatUtf8(`${data}\n`))).toHaveLength(1);
  });
});
