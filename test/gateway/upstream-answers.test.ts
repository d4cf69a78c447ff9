import { describe, expect, it } from "vitest";
import { type AnswerHead, AnswerParser, MAX_PUSHED_BYTES } from "../../gateway/upstream/answer-parser.ts";
import { formatRequestHead } from "../../gateway/upstream/request-head.ts";
import { concatAll, formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";

/** What a parser tells, one line each; chunks of one body are joined. */
class Told {
  readonly lines: string[] = [];
  isWaiting = true;
  readonly parser: AnswerParser;
  #body: Uint8Array[] = [];

  constructor() {
    this.parser = new AnswerParser({
      onBegin: () => this.isWaiting,
      onHead: (head) => this.#head(head),
      onBody: (chunk) => this.#body.push(chunk) > 0,
      onEnd: () => this.#end(),
    });
  }

  #head({ status, isKept, valuesOf }: AnswerHead): boolean {
    this.lines.push(`${status} ${isKept} ${valuesOf("x-one").join("|")}`);
    return true;
  }

  #end(): boolean {
    this.lines.push(parseUtf8(concatAll(this.#body)));
    this.#body = [];
    return true;
  }
}

const INTERIM = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-One: early\r\n\r\n";
const CHUNKED =
  "HTTP/1.1 200 OK\r\nX-One: a\r\nTransfer-Encoding: chunked\r\nx-one:  b\r\n\r\n" +
  "3\r\none\r\n4;x=y\r\n two\r\n0\r\nTrailer: t\r\n\r\n";
const SIZED = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nnever";
const EMPTY = "HTTP/1.1 204 No Content\r\n\r\n";
const UNSIZED = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end";

function toldOf(pieces: readonly string[]): readonly string[] {
  const told = new Told();
  for (const piece of pieces) expect(told.parser.push(formatUtf8(piece))).toBe(true);
  told.parser.free();
  return told.lines;
}

describe("answers on one connection", () => {
  const text = INTERIM + CHUNKED + SIZED + EMPTY;
  const lines = ["100 true ", "103 true early", "200 true a|b", "one two", "404 true ", "never", "204 true ", ""];

  it("are told in order, wherever their bytes are cut", () => {
    expect(toldOf([text])).toEqual(lines);
    expect(toldOf([...text])).toEqual(lines);
    for (let at = 1; at < text.length; at += 1) expect(toldOf([text.slice(0, at), text.slice(at)])).toEqual(lines);
  });

  it("of two connections do not meet, and bodies are nobody else's memory", () => {
    const [one, other] = [new Told(), new Told()];
    const [first, second] = [SIZED, SIZED.replace("never", "other")];
    for (let at = 0; at < first.length; at += 1) {
      one.parser.push(formatUtf8(first.slice(at, at + 1)));
      other.parser.push(formatUtf8(second.slice(at, at + 1)));
    }
    expect([one.lines[1], other.lines[1]]).toEqual(["never", "other"]);
  });

  it("are not whole where they are cut off", () => {
    for (const answer of [CHUNKED, SIZED]) {
      for (let length = 0; length < answer.length; length += 1) {
        const told = new Told();
        told.parser.push(formatUtf8(answer.slice(0, length)));
        told.parser.finish();
        expect(told.lines.length).toBeLessThan(2);
        told.parser.free();
      }
    }
  });

  it("end with the connection if they say nothing of their length, and then are not kept", () => {
    const told = new Told();
    told.parser.push(formatUtf8(UNSIZED));
    expect(told.lines).toEqual(["200 false "]);
    expect(told.parser.finish()).toBe(true);
    expect(told.lines).toEqual(["200 false ", "to the end"]);
  });

  it.each([
    ["no answer", "nonsense\r\n\r\n"],
    ["another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"],
    ["another protocol that is not named", "HTTP/1.1 101 Switching Protocols\r\n\r\n"],
    ["a status that is none", "HTTP/1.1 099 None\r\n\r\n"],
    ["a length of a body that there is not", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nnever"],
    ["two lengths that are one", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1"],
    ["chunks whose length is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"],
    [
      "a coding of the body beside a length",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\n1",
    ],
    ["a line that ends without a return", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
    ["a head beyond its bound, in many headers", `HTTP/1.1 200 OK\r\n${"X-Name: value\r\n".repeat(2_000)}\r\n`],
    ["a head that does not end", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(MAX_PUSHED_BYTES - 100)}`],
  ])("are refused: %s", (_, bytes) => {
    const told = new Told();
    const isTaken = told.parser.push(formatUtf8(bytes)) && told.parser.finish();
    expect([isTaken, told.lines.length < 2]).toEqual([false, true]);
  });

  it("are not preceded by interim answers without end", () => {
    const told = new Told();
    const interim = "HTTP/1.1 100 Continue\r\n\r\n";
    for (let n = 0; n < 3; n += 1) expect(told.parser.push(formatUtf8(interim.repeat(64) + SIZED))).toBe(true);
    expect(told.lines.filter((line) => line.startsWith("404"))).toHaveLength(3);
    expect(told.parser.push(formatUtf8(interim.repeat(65)))).toBe(false);
  });

  it("are read in a memory that grows with the connections", () => {
    const one = new Told();
    one.parser.push(formatUtf8(SIZED.slice(0, -1)));
    const others = Array.from({ length: 5_000 }, () => new Told());
    one.parser.push(formatUtf8(SIZED.slice(-1)));
    expect(one.lines[1]).toBe("never");
    for (const other of others) other.parser.push(formatUtf8(SIZED));
    expect(new Set(others.map(({ lines }) => lines[1]))).toEqual(new Set(["never"]));
    for (const { parser } of others) parser.free();
  });

  it("that nobody waits for are refused", () => {
    const told = new Told();
    expect(told.parser.push(formatUtf8(SIZED))).toBe(true);
    told.isWaiting = false;
    // Line ends between two answers are none.
    expect(told.parser.push(formatUtf8("\r\n"))).toBe(true);
    expect(told.parser.push(formatUtf8("HTTP/1.1 200 OK\r\n"))).toBe(false);
  });

  it("are read no more once the parser is given back", () => {
    const told = new Told();
    told.parser.free();
    told.parser.free();
    expect([told.parser.push(formatUtf8(EMPTY)), told.parser.finish(), told.lines]).toEqual([false, false, []]);
  });
});

describe("the head of a request", () => {
  const format = (headers: Readonly<Record<string, string>>, method = "GET", body?: Uint8Array): string =>
    formatRequestHead("host:1", "/mcp?a", { method, headers, signal: AbortSignal.abort(), ...(body && { body }) });

  it("says how long the body is where there may be one", () => {
    const start = "HTTP/1.1\r\nhost: host:1\r\nconnection: keep-alive\r\n";
    expect(format({ "X-One": "ä\t!" })).toBe(`GET /mcp?a ${start}X-One: ä\t!\r\n\r\n`);
    expect(format({}, "DELETE")).toBe(`DELETE /mcp?a ${start}\r\n`);
    expect(format({}, "POST")).toBe(`POST /mcp?a ${start}content-length: 0\r\n\r\n`);
    expect(format({}, "POST", formatUtf8("ä"))).toBe(`POST /mcp?a ${start}content-length: 2\r\n\r\n`);
  });

  it("has no header that ends a line, is not of bytes, has no name, or is the head's own", () => {
    for (const value of ["a\nb", "a\rb", "\0", "\x7f", "Ā", "😀"]) expect(() => format({ "X-One": value })).toThrow();
    for (const name of ["", "a b", "a:", "ä", "a\n"]) expect(() => format({ [name]: "1" })).toThrow();
    for (const name of ["Host", "Content-Length", "TRANSFER-ENCODING", "connection", "Upgrade", "expect"]) {
      expect(() => format({ [name]: "1" })).toThrow();
    }
  });
});
