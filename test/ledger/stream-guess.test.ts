import { describe, expect, it } from "vitest";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { parseRegistration } from "../../kernel/registration.ts";
import { readSingle, StreamGuess, type Submission } from "../../ledger/admission/candidates.ts";
import { StreamBook } from "../../ledger/admission/stream-book.ts";
import { makeInlineReader, type SubmissionReader } from "../../ledger/reading/reader.ts";
import { LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { registrationOf } from "../support/ledger-submitter.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";

const made = [10, 20].map((seed) => makeStream({ keys: gatewayKeys(seed), log: LEDGER_ORIGIN, count: 6 }));
const [first, second] = made;

/** A desk that counts how often a receipt was read. */
function deskOf(): { reads: number; read: (bytes: Uint8Array, guess: StreamGuess) => Promise<Submission> } {
  const streams = new StreamBook();
  for (const [i, { keys }] of made.entries()) {
    const registration = registrationOf(keys);
    streams.register(parseRegistration(registration), BigInt(i + 1), hashLeaf(registration)).show();
  }
  const inline = makeInlineReader();
  const counted = {
    reads: 0,
    read: (bytes: Uint8Array, guess: StreamGuess): Promise<Submission> => {
      const reader: SubmissionReader = {
        ...inline,
        receipt: (...args) => {
          counted.reads += 1;
          return inline.receipt(...args);
        },
      };
      return readSingle({ streams, origin: LEDGER_ORIGIN, reader }, bytes, guess);
    },
  };
  return counted;
}

function bytesOf(stream: typeof first, seq: number): Uint8Array {
  const receipt = stream?.receipts[seq];
  if (receipt === undefined) throw new Error("no such receipt");
  return receipt.bytes;
}

describe("a connection's receipts", () => {
  it("are read once each as long as they are of one stream, its first receipt among them", async () => {
    const desk = deskOf();
    const guess = new StreamGuess();
    for (const seq of [0, 1, 2, 3]) {
      const { account, candidates } = await desk.read(bytesOf(first, seq), guess);
      expect([account.stream, candidates[0]?.link.seq]).toEqual([first?.stream, seq]);
    }
    expect(desk.reads).toBe(3);
    // The open receipt again: no reader is to take it for one that the receipt key alone signed.
    expect((await desk.read(bytesOf(first, 0), guess)).candidates[0]?.opens).toBeDefined();
  });

  it("are of the stream that they name, whatever was guessed, and nothing is guessed about who brings several", async () => {
    const desk = deskOf();
    const guess = new StreamGuess();
    const streams: string[] = [];
    for (const seq of [1, 2, 3, 4]) {
      for (const stream of made) streams.push((await desk.read(bytesOf(stream, seq), guess)).account.stream);
    }
    expect(streams).toEqual(Array.from({ length: 8 }, (_, i) => made[i % 2]?.stream));
    expect(guess.account).toBeUndefined();
    expect(desk.reads).toBe(9);
  });

  it("of no registered stream are refused, whatever was guessed", async () => {
    const desk = deskOf();
    const guess = new StreamGuess();
    await desk.read(bytesOf(second, 1), guess);
    const stranger = makeStream({ keys: gatewayKeys(30), log: LEDGER_ORIGIN, count: 3 });
    await expect(desk.read(bytesOf(stranger, 1), guess)).rejects.toMatchObject({ code: "ERR_STREAM_UNKNOWN" });
    await expect(desk.read(bytesOf(second, 2).subarray(1), guess)).rejects.toMatchObject({ code: "ERR_JSON_SYNTAX" });
    expect(guess.account?.stream).toBe(second?.stream);
  });
});
