import { describe, expect, it } from "vitest";
import { parseUtf8 } from "../../kernel/bytes.ts";
import { parseMandate } from "../../kernel/mandate/mandate.ts";
import { checkHolder, checkMandateChain } from "../../kernel/mandate/mandate-chain.ts";
import { covers, isWithin, type MandateScope } from "../../kernel/mandate/mandate-scope.ts";
import { checkDelegation, linkOf } from "../../kernel/receipt/delegation.ts";
import type { DelegationHop } from "../../kernel/receipt/identity.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";
import { bytePrefixes, oneByteChanges } from "../support/each-byte.ts";
import {
  firstMandate,
  MANDATE_ROOT,
  MANDATE_START_MS,
  type MandateChanges,
  mandateSigner,
  nextMandate,
} from "../support/mandates.ts";
import { sampled } from "../support/sweep.ts";

const NOW = MANDATE_START_MS + 60_000;
const FIRST = firstMandate();
const CHAIN = [FIRST, nextMandate(FIRST)];

const check = (chain: readonly Uint8Array[], nowMs = NOW): ReturnType<typeof checkMandateChain> =>
  checkMandateChain(chain, [MANDATE_ROOT], nowMs);

describe("a chain of mandates", () => {
  it("that holds leads from the root to the last holder", () => {
    const { root, hops, last, firstHash } = check(CHAIN);
    expect([root, hops.length, last.holder.name, firstHash]).toEqual([
      { issuer: "https://idp.example", name: "alice" },
      2,
      "example-agent",
      parseMandate(FIRST).hash,
    ]);
    checkHolder(check(CHAIN), { issuer: "local", name: "example-agent" });
    expect(codeOf(() => checkHolder(check(CHAIN), { issuer: "local", name: "planner" }))).toBe("ERR_MANDATE_HOLDER");
    expect(codeOf(() => checkHolder(check(CHAIN), { issuer: "x509", name: "example-agent" }))).toBe(
      "ERR_MANDATE_HOLDER",
    );
  });

  it("does not hold for a key that nobody trusts, or from another key than the holder's", () => {
    const foreign = firstMandate({}, mandateSigner(0x70));
    expect(codeOf(() => check([foreign, nextMandate(foreign)]))).toBe("ERR_MANDATE_UNTRUSTED");
    expect(codeOf(() => check([FIRST, nextMandate(FIRST, {}, mandateSigner(0x61))]))).toBe("ERR_MANDATE_BROKEN");
    const closed = firstMandate({ holder: { issuer: "local", name: "planner", key: null } });
    expect(codeOf(() => check([closed, nextMandate(closed)]))).toBe("ERR_MANDATE_BROKEN");
  });

  it("does not hold with a hop taken out, doubled, in another order, or from another chain", () => {
    const [first = FIRST, second = FIRST] = CHAIN;
    const third = nextMandate(
      second,
      { depth: 0, holder: { issuer: "local", name: "x", key: null } },
      mandateSigner(0x63),
    );
    expect(check([first, second, third]).hops).toHaveLength(3);
    for (const chain of [
      [first, third],
      [second],
      [second, third],
      [first, first],
      [second, first],
      [first, second, second],
    ]) {
      expect(["ERR_MANDATE_BROKEN", "ERR_MANDATE_UNTRUSTED"]).toContain(codeOf(() => check(chain)));
    }
    const other = firstMandate({ depth: 3 });
    expect(codeOf(() => check([other, second]))).toBe("ERR_MANDATE_BROKEN");
    expect(codeOf(() => check([]))).toBe("ERR_MANDATE");
    expect(codeOf(() => check(Array.from({ length: 9 }, () => first)))).toBe("ERR_MANDATE");
  });

  it.each<[string, MandateChanges]>([
    ["a tool", { scope: { tools: ["t/write"], resources: [] } }],
    ["every tool of a server", { scope: { tools: ["t/*"], resources: [] } }],
    ["an address beside the folder", { scope: { tools: [], resources: ["s/file:///docs-other/"] } }],
    ["an address at another server", { scope: { tools: [], resources: ["t/file:///docs/"] } }],
    ["an earlier time", { not_before: formatTimestamp(MANDATE_START_MS - 1) }],
    ["a later time", { not_after: formatTimestamp(MANDATE_START_MS + 3_600_001) }],
    ["the same depth", { depth: 2 }],
  ])("does not hold if a hop grants more than the one before: %s", (_what, changes) => {
    expect(codeOf(() => check([FIRST, nextMandate(FIRST, changes)]))).toBe("ERR_MANDATE_WIDER");
  });

  it("does not hold if no receipt could hold it", () => {
    const tools = (count: number): readonly string[] =>
      Array.from({ length: count }, (_, i) => `s/${String(i).padStart(2, "0")}${"x".repeat(126)}`);
    const wide = { scope: { tools: tools(32), resources: [] }, depth: 8 };
    const first = firstMandate(wide);
    const second = nextMandate(first, { ...wide, depth: 7 });
    const third = nextMandate(second, { ...wide, depth: 6 }, mandateSigner(0x63));
    expect(check([first, second, third]).hops).toHaveLength(3);
    const fourth = nextMandate(third, { ...wide, depth: 5 }, mandateSigner(0x63));
    expect(codeOf(() => check([first, second, third, fourth]))).toBe("ERR_MANDATE");
  });

  it("holds in its time and no longer, hop by hop", () => {
    expect(codeOf(() => check(CHAIN, MANDATE_START_MS - 1))).toBe("ERR_MANDATE_EXPIRED");
    expect(check(CHAIN, MANDATE_START_MS + 1_799_999).hops).toHaveLength(2);
    expect(codeOf(() => check(CHAIN, MANDATE_START_MS + 1_800_000))).toBe("ERR_MANDATE_EXPIRED");
    expect(check([FIRST], MANDATE_START_MS + 1_800_000).hops).toHaveLength(1);
  });

  it("does not hold with any bit of any mandate changed, and no truncation is read", () => {
    const [first = FIRST, second = FIRST] = CHAIN;
    const fails = (chain: readonly Uint8Array[]): void => {
      expect(codeOf(() => check(chain))).toMatch(/^ERR_/u);
    };
    for (const changed of sampled(oneByteChanges(second), 211)) fails([first, changed]);
    for (const changed of sampled(oneByteChanges(first), 211, 100)) fails([changed, second]);
    for (const cut of sampled(bytePrefixes(second), 31)) fails([first, cut]);
  });

  it("of other forms is refused: spaces, an empty or unsorted scope list, dot segments, two signatures", () => {
    const text = parseUtf8(FIRST);
    expect(codeOf(() => parseMandate(new TextEncoder().encode(` ${text}`)))).toBe("ERR_JSON_CANONICAL");
    const sorted = (tools: readonly string[], resources: readonly string[]): string =>
      codeOf(() => firstMandate({ scope: { tools, resources } }));
    expect(sorted(["b/x", "a/x"], [])).toBe("ERR_SHAPE");
    expect(sorted(["a/x", "a/x"], [])).toBe("ERR_SHAPE");
    expect(sorted([], ["s/file:///a/../b"])).toBe("ERR_SHAPE");
    expect(sorted([], ["s/file:///a/%2E%2e/b"])).toBe("ERR_SHAPE");
    expect(codeOf(() => firstMandate({ not_after: formatTimestamp(MANDATE_START_MS) }))).toBe("ERR_SHAPE");
    const key = formatPublicKey(mandateSigner(0x62).publicKey);
    expect(codeOf(() => firstMandate({ holder: { issuer: "local", name: "a\nb", key } }))).toBe("ERR_SHAPE");
  });
});

describe("a scope", () => {
  const scope: MandateScope = { tools: ["s/echo", "t/*"], resources: ["s/file:///docs/", "s/note://one"] };

  it("covers what it lists, and nothing beside or above it", () => {
    const tool = (serverId: string, name: string): boolean => covers(scope, { kind: "tool", serverId, name });
    expect([tool("s", "echo"), tool("s", "wipe"), tool("t", "wipe"), tool("u", "echo")]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    const reads = (name: string): boolean => covers(scope, { kind: "resource", serverId: "s", name });
    expect([reads("file:///docs/a/b"), reads("note://one"), reads("file:///docs/")]).toEqual([true, true, true]);
    for (const name of [
      "file:///docs",
      "file:///docs-other/a",
      "file:///docs/../secret",
      "file:///docs/%2e%2E/secret",
      "file:///docs/a%2f..%2fsecret",
      "file:///docs/..",
      "file:///docs\\..\\secret",
      "note://one/two",
      "FILE:///docs/a",
    ]) {
      expect([name, reads(name)]).toEqual([name, false]);
    }
    expect(covers(scope, { kind: "other", serverId: "s" })).toBe(false);
    expect(covers(scope, { kind: "other", serverId: "t" })).toBe(true);
  });

  it("covers nothing that readers of URLs and file systems take for another place, and what only looks like it", () => {
    const reads = (name: string): boolean => covers(scope, { kind: "resource", serverId: "s", name });
    const resolved = ["\t../secret", ".\n./secret", "..\r/secret", "%2\te%2e/secret", ".. ", "..\u0000", "a/..\n/../b"];
    // What a test says of URLs must be so.
    for (const rest of resolved) expect(new URL(`file:///docs/${rest}`).pathname, rest).not.toMatch(/^\/docs\/./u);
    const decoded = [
      "%252e%252e/secret",
      "a%25252f..%252fsecret",
      "..;/secret",
      "..%3bx/secret",
      "..%20/secret",
      ".../secret",
      " ../secret",
    ];
    for (const rest of [...resolved, ...decoded]) expect([rest, reads(`file:///docs/${rest}`)]).toEqual([rest, false]);
    for (const rest of [".env", "a..b", "..a/b", "a b.md", "Übersicht", "v1.2./x", "a;v=1/b", "100%25"]) {
      expect([rest, reads(`file:///docs/${rest}`)]).toEqual([rest, true]);
    }
  });

  it("takes no longer for an address that is long", () => {
    const reads = (name: string): boolean => covers(scope, { kind: "resource", serverId: "s", name });
    const names = ["/. ".repeat(300_000), "%25".repeat(300_000), `%${"25".repeat(400_000)}`, `/${" ".repeat(900_000)}`];
    for (const name of names) expect(reads(name)).toBe(false);
  });

  it("that is empty covers nothing, and is within every other", () => {
    const none: MandateScope = { tools: [], resources: [] };
    expect([isWithin(none, scope), isWithin(none, none), isWithin(scope, none)]).toEqual([true, true, false]);
  });
});

describe("the delegation of a receipt", () => {
  const hopOf = (delegator: string, delegate: string, depth: number, previous: string | null): DelegationHop => {
    const scope = { tools: ["s/*"], resources: [], not_after: formatTimestamp(NOW), depth };
    const hop = { delegator: delegator.repeat(64), delegate: delegate.repeat(64), scope };
    return { ...hop, link: linkOf(hop, previous) };
  };
  const first = hopOf("a", "b", 2, null);
  const second = hopOf("b", "c", 1, first.link);
  const third = hopOf("c", "d", 0, second.link);
  const correlation = "e".repeat(64);

  it("holds whole, and with no hop taken out, widened or relinked", () => {
    expect(checkDelegation({ hops: [first, second, third], correlation }).hops).toHaveLength(3);
    const wide = { ...third, scope: { ...third.scope, tools: ["t/x"] } };
    const late = hopOf("c", "d", 1, second.link);
    for (const hops of [
      [second, third],
      [first, third],
      [first, second, wide],
      [first, second, { ...wide, link: linkOf(wide, second.link) }],
      [first, second, late],
      [first, second, hopOf("b", "d", 0, second.link)],
      [first, { ...second, delegate: "9".repeat(64) }, third],
    ]) {
      expect(codeOf(() => checkDelegation({ hops, correlation }))).toBe("ERR_SHAPE");
    }
  });
});
