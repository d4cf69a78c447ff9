import { describe, expect, it } from "vitest";
import { parseMandate } from "../../kernel/mandate/mandate.ts";
import { readMandateChain } from "../../kernel/mandate/mandate-chain.ts";
import {
  checkSuccessor,
  isRevoked,
  parseRevocations,
  type Revoked,
  revokedByKey,
  signRevocations,
} from "../../kernel/mandate/mandate-revocations.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";
import { bytePrefixes, oneByteChanges } from "../support/each-byte.ts";
import { firstMandate, MANDATE_ROOT, MANDATE_START_MS, mandateSigner, nextMandate } from "../support/mandates.ts";
import { sampled } from "../support/sweep.ts";

const FIRST = firstMandate();
const SECOND = nextMandate(FIRST);
const CHAIN = readMandateChain([FIRST, SECOND], [MANDATE_ROOT]);
const [ROOT_KEY, PLANNER_KEY, WORKER_KEY] = [0x61, 0x62, 0x63].map(mandateSigner);
const END = formatTimestamp(MANDATE_START_MS + 3_600_000);
const entry = (mandate: string): Revoked => ({ mandate, not_after: END });
const hashOf = (mandate: Uint8Array): string => parseMandate(mandate).hash;
const listBy = (signer: typeof ROOT_KEY, ...mandates: readonly Uint8Array[]) => {
  if (signer === undefined) throw new Error("no key");
  return parseRevocations(
    signRevocations(
      1,
      mandates.map((one) => entry(hashOf(one))),
      signer,
    ),
  );
};

describe("a list of revocations", () => {
  const signer = mandateSigner(0x61);
  const bytes = signRevocations(7, [entry("b".repeat(64)), entry("a".repeat(64))], signer);

  it("holds what was signed, sorted; every byte of it counts", () => {
    const list = parseRevocations(bytes);
    expect([list.version, list.kid, list.revoked.map(({ mandate }) => mandate[0])]).toEqual([
      7,
      signer.publicKey.kid,
      ["a", "b"],
    ]);
    for (const damaged of sampled(oneByteChanges(bytes), 31)) {
      expect(codeOf(() => parseRevocations(damaged))).toMatch(/^ERR_/u);
    }
    for (const cut of sampled(bytePrefixes(bytes), 7)) expect(codeOf(() => parseRevocations(cut))).toMatch(/^ERR_/u);
  });

  it("names each mandate once, is of one key, and may be empty", () => {
    expect(parseRevocations(signRevocations(1, [], signer)).revoked).toEqual([]);
    const twice = [entry("a".repeat(64)), entry("a".repeat(64))];
    expect(codeOf(() => signRevocations(1, twice, signer))).toBe("ERR_SHAPE");
    expect(codeOf(() => signRevocations(0, [], signer))).toBe("ERR_SHAPE");
  });

  it("comes after another of its key with a higher version and everything that is still in its time", () => {
    const of = (version: number, ...revoked: readonly Revoked[]) =>
      parseRevocations(signRevocations(version, revoked, signer));
    const before = of(3, entry("a".repeat(64)));
    const now = MANDATE_START_MS;
    const ruling = (next: ReturnType<typeof of>, at = now): string => codeOf(() => checkSuccessor(before, next, at));
    expect(ruling(before)).toBe("accepted");
    expect(ruling(of(4, entry("a".repeat(64)), entry("b".repeat(64))))).toBe("accepted");
    expect(ruling(of(3, entry("a".repeat(64)), entry("b".repeat(64))))).toBe("ERR_MANDATE_LIST");
    expect(ruling(of(2, entry("a".repeat(64))))).toBe("ERR_MANDATE_LIST");
    expect(ruling(of(4, entry("b".repeat(64))))).toBe("ERR_MANDATE_LIST");
    expect(ruling(of(4, entry("b".repeat(64))), now + 3_600_000)).toBe("accepted");
    const other = parseRevocations(signRevocations(9, [entry("a".repeat(64))], mandateSigner(0x62)));
    expect(ruling(other)).toBe("ERR_MANDATE_LIST");
  });
});

describe("a chain", () => {
  it("is taken back by whoever issued a hop, or one before it, and with a hop everything behind it", () => {
    const by = (list: ReturnType<typeof listBy>): boolean => isRevoked(CHAIN, revokedByKey([list]));
    expect(by(listBy(ROOT_KEY, FIRST))).toBe(true);
    expect(by(listBy(ROOT_KEY, SECOND))).toBe(true);
    expect(by(listBy(PLANNER_KEY, SECOND))).toBe(true);
    expect(by(listBy(PLANNER_KEY, FIRST))).toBe(false);
    expect(by(listBy(WORKER_KEY, FIRST, SECOND))).toBe(false);
    expect(by(listBy(ROOT_KEY, firstMandate({ depth: 1 })))).toBe(false);
    expect(by(listBy(ROOT_KEY))).toBe(false);
    const parent = readMandateChain([FIRST], [MANDATE_ROOT]);
    expect(isRevoked(parent, revokedByKey([listBy(ROOT_KEY, SECOND)]))).toBe(false);
  });
});
