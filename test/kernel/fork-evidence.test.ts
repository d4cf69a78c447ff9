import { describe, expect, it } from "vitest";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { parseCheckpoint } from "../../kernel/checkpoint/checkpoint.ts";
import {
  checkLogFork,
  formatLogFork,
  type LogForkEvidence,
  proveLogFork,
} from "../../kernel/checkpoint/fork-evidence.ts";
import { makeCosigner, makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { asNodeHash, asRootHash } from "../../kernel/merkle/hash.ts";
import { formatNote, parseNote } from "../../kernel/note/signed-note.ts";
import { signRegistration } from "../../kernel/registration.ts";
import { signEnvelope } from "../../kernel/signature/envelope.ts";
import { checkStreamFork, checkStreamForkFile, formatStreamFork } from "../../kernel/stream/fork-evidence.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";
import { oneCharacterChanges, truncations } from "../support/each-damage.ts";
import { gatewayKeys, makeStream } from "../support/receipts.ts";
import { makeSmallLog } from "../support/small-log.ts";

const log = makeSmallLog("log.example/a", 1, 20);
/** The same key, another history from entry 3 on. */
const fork = makeSmallLog("log.example/a", 1, 20, (i) => (i < 3 ? `entry ${i}` : `forked ${i}`));
const keys = [log.key];

async function growth(oldSize: number, size: number): Promise<LogForkEvidence> {
  const prefix = { root: fork.root(oldSize), proof: await fork.consistency(oldSize, size) };
  return { first: log.checkpoint(oldSize), second: fork.checkpoint(size), prefix };
}

const codeOfLog = (evidence: LogForkEvidence): string => codeOf(() => checkLogFork(formatLogFork(evidence), keys));

describe("evidence of a fork of a log", () => {
  it("proves it with two roots of one size, and for every pair of sizes with a prefix", async () => {
    const same = { first: log.checkpoint(5), second: fork.checkpoint(5) };
    expect(checkLogFork(formatLogFork(same), keys)).toMatchObject({ origin: log.origin, first: { size: 5n } });
    for (let oldSize = 4; oldSize < 12; oldSize += 1) {
      for (let size = oldSize + 1; size <= 20; size += 1) {
        const fork = checkLogFork(formatLogFork(await growth(oldSize, size)), keys);
        expect([fork.first.size, fork.second?.size]).toEqual([BigInt(oldSize), BigInt(size)]);
      }
    }
  });

  it("proves it with one checkpoint of no leaves and a root", () => {
    const first = log.checkpoint(0, asRootHash(log.leaf(0)));
    expect(checkLogFork(formatLogFork({ first }), keys).second).toBeUndefined();
    expect(codeOfLog({ first: log.checkpoint(0) })).toBe("ERR_FORK_EVIDENCE");
    expect(codeOfLog({ first: log.checkpoint(1) })).toBe("ERR_FORK_EVIDENCE");
    expect(codeOfLog({ first, prefix: { root: log.root(0), proof: [] } })).toBe("ERR_FORK_EVIDENCE");
  });

  it("refuses what may be one history", async () => {
    const proof = await log.consistency(5, 9);
    expect(codeOfLog({ first: log.checkpoint(5), second: log.checkpoint(5) })).toBe("ERR_FORK_EVIDENCE");
    expect(codeOfLog({ first: log.checkpoint(5), second: log.checkpoint(9) })).toBe("ERR_FORK_EVIDENCE");
    const honest = { first: log.checkpoint(5), second: log.checkpoint(9), prefix: { root: log.root(5), proof } };
    expect(codeOfLog(honest)).toBe("ERR_FORK_EVIDENCE");
    // Before entry 3 the two are one history.
    expect(codeOfLog(await growth(2, 9))).toBe("ERR_FORK_EVIDENCE");
  });

  it("refuses a prefix or a proof that does not lead to the second root", async () => {
    const good = await growth(5, 9);
    const { root, proof } = good.prefix ?? { root: log.root(5), proof: [] };
    expect(codeOfLog({ ...good, prefix: { root: log.root(4), proof } })).toBe("ERR_OLD_ROOT_MISMATCH");
    expect(codeOfLog({ ...good, prefix: { root, proof: proof.slice(1) } })).toBe("ERR_PROOF_LENGTH");
    expect(codeOfLog({ ...good, prefix: { root, proof: [...proof].reverse() } })).not.toBe("accepted");
    expect(codeOfLog({ first: fork.checkpoint(9), second: log.checkpoint(5), prefix: { root, proof } })).toBe(
      "ERR_SIZE_RANGE",
    );
    const equal = { first: log.checkpoint(5), second: fork.checkpoint(5), prefix: { root, proof: [] } };
    expect(codeOfLog(equal)).toBe("ERR_FORK_EVIDENCE");
  });

  it("refuses checkpoints of other logs and lines of other keys", () => {
    const other = makeSmallLog("log.example/b", 1, 20);
    const second = fork.checkpoint(5);
    const { text } = parseNote(second);
    const impostor = makeLogSigner(log.origin, new Uint8Array(32).fill(7));
    const witness = makeCosigner("witness.example/w", 0x04, new Uint8Array(32).fill(9));
    const both = [...keys, other.key];
    const two = formatLogFork({ first: log.checkpoint(5), second: other.checkpoint(5) });
    expect(codeOf(() => checkLogFork(two, both))).toBe("ERR_FORK_EVIDENCE");
    expect(codeOfLog({ first: log.checkpoint(5), second: formatNote(text, [impostor.signLine(text)]) })).toBe(
      "ERR_LOG_SIGNATURE",
    );
    const cosigned = formatNote(text, [
      ...parseNote(second).signatures.map(({ line }) => line),
      witness.cosign(text, 1n),
    ]);
    expect(codeOfLog({ first: log.checkpoint(5), second: cosigned })).toBe("ERR_LOG_SIGNATURE");
  });

  it("refuses every change of one character and every truncation", async () => {
    const text = parseUtf8(formatLogFork(await growth(6, 7)));
    expect(codeOf(() => checkLogFork(formatUtf8(text), keys))).toBe("accepted");
    for (const damaged of [...truncations(text), ...oneCharacterChanges(text, "0A\n")]) {
      expect(
        codeOf(() => checkLogFork(formatUtf8(damaged), keys)),
        damaged,
      ).not.toBe("accepted");
    }
  });

  it("is made from what a witness is sent, and only if it proves a fork", async () => {
    const make = async (oldSize: number, size: number, from = fork): Promise<Uint8Array | undefined> =>
      proveLogFork(log.checkpoint(oldSize), from.checkpoint(size), await from.consistency(oldSize, size), keys);
    expect(proveLogFork(log.checkpoint(5), fork.checkpoint(5), [], keys)).toBeDefined();
    expect(proveLogFork(undefined, log.checkpoint(0, asRootHash(log.leaf(1))), [], keys)).toBeDefined();
    expect(await make(5, 9)).toBeDefined();
    expect(await make(5, 9, log)).toBeUndefined();
    expect(await make(2, 9)).toBeUndefined();
    // The proof of a power of two does not spell its first tree.
    expect(await make(8, 9)).toBeUndefined();
    const junk = proveLogFork(log.checkpoint(5), log.checkpoint(9), [asNodeHash(log.leaf(0))], keys);
    expect(junk).toBeUndefined();
  });

  it("leaves the lines of others out of what it makes", () => {
    const { text, signatures } = parseNote(fork.checkpoint(5));
    const witness = makeCosigner("witness.example/w", 0x04, new Uint8Array(32).fill(9));
    const cosigned = formatNote(text, [witness.cosign(text, 1n), ...signatures.map(({ line }) => line)]);
    const made = proveLogFork(log.checkpoint(5), cosigned, [], keys);
    expect(made).toEqual(proveLogFork(log.checkpoint(5), fork.checkpoint(5), [], keys));
    expect(parseCheckpoint(text).size).toBe(5n);
  });
});

describe("evidence of a fork of a stream", () => {
  const { keys: gateway, stream, receipts } = makeStream();
  const streamKeys = { instance: gateway.instance.publicKey, receipt: gateway.receipt.publicKey };
  const time = formatTimestamp(1_700_000_000_000);
  const registration = signRegistration(
    { kind: "registration", v: 1, origin: "log.example/test", evidence: { type: "software" }, time },
    gateway.instance,
    gateway.receipt,
  );
  const at = (seq: number): Uint8Array => receipts[seq]?.bytes ?? new Uint8Array(0);
  const another = (
    seq: number,
    signers = seq === 0 ? [gateway.instance, gateway.receipt] : [gateway.receipt],
  ): Uint8Array => {
    const receipt = receipts[seq]?.receipt;
    if (receipt === undefined) throw new Error("no such receipt");
    return canonicalBytes(signEnvelope({ ...receipt, time: formatTimestamp(1_700_000_999_000) }, signers));
  };

  it("proves it at the first receipt and at every later one", () => {
    for (let seq = 0; seq < receipts.length; seq += 1) {
      expect(checkStreamFork(at(seq), another(seq), streamKeys)).toEqual({ stream, seq });
      const file = formatStreamFork({ registration, logged: at(seq), refused: another(seq) });
      expect(checkStreamForkFile(file)).toEqual({ stream, seq });
    }
  });

  it("refuses one body, two places, another stream, and other signers", () => {
    const stranger = gatewayKeys(60);
    const theirs = makeStream({ keys: stranger }).receipts[3]?.bytes ?? new Uint8Array(0);
    const check = (a: Uint8Array, b: Uint8Array): string => codeOf(() => checkStreamFork(a, b, streamKeys));
    expect(check(at(3), at(3))).toBe("ERR_FORK_EVIDENCE");
    expect(check(at(3), at(4))).toBe("ERR_FORK_EVIDENCE");
    expect(check(at(3), theirs)).toBe("ERR_STREAM_KEY");
    expect(check(at(3), another(3, [stranger.receipt]))).toBe("ERR_STREAM_KEY");
    expect(check(at(3), another(3, [gateway.receipt, gateway.instance]))).toBe("ERR_STREAM_KEY");
    expect(check(at(0), another(0, [gateway.receipt]))).toBe("ERR_STREAM_KEY");
  });

  it("refuses a changed bit in every byte, and every truncation", () => {
    const text = parseUtf8(formatStreamFork({ registration, logged: at(3), refused: another(3) }));
    expect(codeOf(() => checkStreamForkFile(formatUtf8(text)))).toBe("accepted");
    const changed = [...text].map((c, i) => {
      return text.slice(0, i) + String.fromCharCode(c.charCodeAt(0) ^ 1) + text.slice(i + 1);
    });
    for (const damaged of [...truncations(text), ...changed]) {
      expect(
        codeOf(() => checkStreamForkFile(formatUtf8(damaged))),
        damaged,
      ).not.toBe("accepted");
    }
  });
});
