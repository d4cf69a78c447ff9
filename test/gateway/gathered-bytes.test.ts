import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { Deadlines } from "../../gateway/deadlines.ts";
import { readBody } from "../../gateway/edge/http-body.ts";
import { type HttpAnswer, readWhole } from "../../gateway/upstream/http-answer.ts";
import { LineReader } from "../../gateway/upstream/line-reader.ts";
import { SseReader } from "../../gateway/upstream/sse-reader.ts";
import { GatheredBytes } from "../../gateway/wire/gathered-bytes.ts";
import { GatheredText } from "../../gateway/wire/gathered-text.ts";

const PIECES = 200_000;

describe("bytes that arrive one at a time", () => {
  it("are gathered in order, and gone once they are taken", () => {
    const gathered = new GatheredBytes();
    for (let i = 0; i < PIECES; i += 1) gathered.push(Uint8Array.of(i & 0xff));
    expect(gathered.length).toBe(PIECES);
    const taken = gathered.take();
    expect(taken.length).toBe(PIECES);
    expect(taken.every((byte, i) => byte === (i & 0xff))).toBe(true);
    expect(gathered.take().length).toBe(0);
  });

  it("make a body like any other", async () => {
    const request = new PassThrough();
    const body = readBody(request as never, undefined, 1_000_000, new Deadlines(10_000));
    for (let i = 0; i < PIECES; i += 1) request.emit("data", Uint8Array.of(0x61));
    request.emit("end");
    expect(await body).toMatchObject({ type: "body", bytes: { length: PIECES } });
  });

  it("make an answer like any other, of which no piece is held", async () => {
    // The source has one memory for all of its pieces but the first.
    const piece = new Uint8Array(1);
    let given = 0;
    const next = async (): Promise<Uint8Array | undefined> => {
      given += 1;
      piece[0] = given & 0xff;
      return given > PIECES ? undefined : given === 1 ? Uint8Array.of(1) : piece;
    };
    const answer: HttpAnswer = { status: 200, ok: true, header: () => undefined, read: next, cancel: () => undefined };
    const whole = await readWhole(answer, PIECES);
    expect(whole?.length).toBe(PIECES);
    expect(whole?.every((byte, i) => byte === ((i + 1) & 0xff))).toBe(true);
  });

  it("make a line like any other", () => {
    const lines: Uint8Array[] = [];
    const reader = new LineReader(1_000_000, { onLine: (line) => lines.push(line), onOversize: () => undefined });
    for (let i = 0; i < PIECES; i += 1) reader.push(Uint8Array.of(0x62));
    reader.push(Uint8Array.of(0x0a));
    expect(lines.map(({ length }) => length)).toEqual([PIECES]);
  });

  it("of a line above the bound leave its first and its last 512", () => {
    const ends: string[] = [];
    const onOversize = (bytes: Uint8Array): unknown => ends.push(Buffer.from(bytes).toString());
    const reader = new LineReader(2000, { onLine: () => undefined, onOversize });
    for (const piece of ["a".repeat(1500), "b".repeat(1500), "c".repeat(300), "d".repeat(300), "\n"]) {
      reader.push(Buffer.from(piece));
    }
    expect(ends).toEqual(["a".repeat(512) + "b".repeat(0) + "c".repeat(212) + "d".repeat(300)]);
  });
});

describe("a text that arrives one character at a time", () => {
  it.each([0, 1, 1_023, 1_024, 1_025, 5_000])(
    "is gathered in order, of %i pieces, and gone once it is taken",
    (count) => {
      const gathered = new GatheredText();
      const pieces = Array.from({ length: count }, (_, i) => String.fromCodePoint(0x61 + (i % 26)));
      for (const piece of pieces) gathered.push(piece);
      gathered.push("");
      expect(gathered.length).toBe(count);
      expect(gathered.last?.at(-1)).toBe(pieces.at(-1));
      expect(gathered.take()).toBe(pieces.join(""));
      expect([gathered.length, gathered.last, gathered.take()]).toEqual([0, undefined, ""]);
    },
  );

  it("makes events like any other, whatever ends their lines", () => {
    const reader = new SseReader(1_000_000);
    const text = `data: ${"a".repeat(PIECES)}\r\n\r\ndata: b\r\rdata: c\n\n`;
    const events = Array.from(text, (character) => reader.push(Buffer.from(character))).flatMap(
      (some) => some ?? ["?"],
    );
    expect(events.map((event) => event.length)).toEqual([PIECES, 1, 1]);
  });
});
