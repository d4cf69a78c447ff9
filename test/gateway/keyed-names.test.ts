import { describe, expect, it } from "vitest";
import type { SessionKey } from "../../gateway/pipeline/call.ts";
import { makeKeyedNames } from "../../gateway/pipeline/keyed-names.ts";

const KEY = new Uint8Array(32).fill(1);
const ONE = { issuer: "local", name: "one" };
const OTHER = { issuer: "local", name: "other" };
const idle: SessionKey = { key: "", source: "idle-window", trust: "inferred" };
const host: SessionKey = { key: "a", source: "host-key", trust: "host-asserted" };
const claim: SessionKey = { key: "a", source: "token-claim", trust: "authenticated" };

describe("the hash of a session", () => {
  it("is apart for each caller, source and key, whatever was asked before", () => {
    const names = makeKeyedNames(KEY);
    const hashes = new Map<string, string>();
    for (let round = 0; round < 2; round += 1) {
      for (const caller of [ONE, OTHER]) {
        for (const session of [idle, host, claim, { ...host, key: "b" }, host]) {
          const name = `${caller.name} ${session.source} ${session.key}`;
          const hash = names.session(caller, session);
          expect(hashes.get(name) ?? hash).toBe(hash);
          hashes.set(name, hash);
        }
      }
    }
    expect(hashes.size).toBe(8);
    expect(new Set(hashes.values()).size).toBe(8);
  });

  it("is the same for a caller that was authenticated anew, and another under another key", () => {
    const names = makeKeyedNames(KEY);
    expect(names.session({ ...ONE }, host)).toBe(names.session(ONE, { ...host }));
    expect(makeKeyedNames(new Uint8Array(32)).session(ONE, host)).not.toBe(names.session(ONE, host));
  });
});
