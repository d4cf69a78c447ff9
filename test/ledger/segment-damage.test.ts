import { describe, expect, it } from "vitest";
import { isCodedError } from "../../kernel/errors.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { parseRegistration } from "../../kernel/registration.ts";
import { readSegment } from "../../ledger/admission/candidates.ts";
import { StreamBook } from "../../ledger/admission/stream-book.ts";
import { makeInlineReader } from "../../ledger/reading/reader.ts";
import { listEntries } from "../../ledger/sequence/proposal.ts";
import { LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { registrationOf, segmentOf } from "../support/ledger-submitter.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";

const keys = gatewayKeys(10);
const stream = makeStream({ keys, log: LEDGER_ORIGIN, count: 3 });
const whole = segmentOf(stream, 0, 3);

function bookOf(): StreamBook {
  const streams = new StreamBook();
  const registration = registrationOf(keys);
  streams.register(parseRegistration(registration), 1n, hashLeaf(registration)).show();
  return streams;
}

const desk = { streams: bookOf(), origin: LEDGER_ORIGIN, reader: makeInlineReader() };

/** Code of the refusal, or "accepted"; anything without a code is thrown on. */
async function verdict(bytes: Uint8Array): Promise<string> {
  try {
    await readSegment(desk, bytes);
    return "accepted";
  } catch (error) {
    if (isCodedError(error) && error.code !== "ERR_BUG") return error.code;
    throw error;
  }
}

describe("a segment", () => {
  it("is read as it was made, with the bytes of its receipts and its envelope", async () => {
    const { entries, envelope } = await readSegment(desk, whole);
    expect(listEntries(entries).map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(
      stream.receipts.map(({ bytes }) => Buffer.from(bytes).toString()),
    );
    expect(Buffer.from(envelope).toString()).toBe(Buffer.from(whole).toString().split("\n")[0]);
  });

  it.each([
    ["its lowest bit flipped", (byte: number): number => byte ^ 1],
    ["its highest bit flipped", (byte: number): number => byte ^ 0x80],
    ["a line feed instead", (): number => 0x0a],
    ["a space instead", (): number => 0x20],
  ])("is refused with any one byte changed: %s", async (_, change) => {
    const accepted: number[] = [];
    for (let at = 0; at < whole.length; at += 1) {
      const damaged = whole.slice();
      damaged[at] = change(damaged[at] ?? 0);
      if (damaged[at] !== whole[at] && (await verdict(damaged)) === "accepted") accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });

  it("is refused when it is cut anywhere, and when bytes are added or doubled anywhere", async () => {
    const accepted: number[] = [];
    for (let at = 0; at < whole.length; at += 1) {
      const added = new Uint8Array(whole.length + 1);
      added.set(whole.subarray(0, at + 1));
      added.set(whole.subarray(at), at + 1);
      const verdicts = [await verdict(whole.subarray(0, at)), await verdict(added)];
      if (verdicts.includes("accepted")) accepted.push(at);
    }
    expect(accepted).toEqual([]);
    expect(await verdict(whole)).toBe("accepted");
  });
});
