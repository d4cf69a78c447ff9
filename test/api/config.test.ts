import { describe, expect, it } from "vitest";
import { parseApiConfig } from "../../api/config.ts";
import type { JsonObject, JsonValue } from "../../kernel/json/value.ts";
import { codeOf } from "../support/code-of.ts";
import { policyText } from "../support/log-keys.ts";

const LEDGER = { name: "main", url: "https://log.example/a", witness_policy: policyText(2), reader_token_file: "read" };
const CONFIG = { listen: {}, data_dir: "data", ledgers: [LEDGER] };
const withLedger = (change: JsonObject): JsonValue => ({ ...CONFIG, ledgers: [{ ...LEDGER, ...change }] });

describe("the configuration of an auditor node", () => {
  it("takes what setup writes", () => {
    const { ledgers } = parseApiConfig({ ...CONFIG, listen: { host: "127.0.0.1", port: 4300 } });
    expect(ledgers[0]?.witness_policy.witnesses).toHaveLength(3);
  });

  it("lets nobody but this machine ask without a token", () => {
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "auditor.example", "127.0.0.1.evil.example"]) {
      const config = { ...CONFIG, listen: { host } };
      expect(codeOf(() => parseApiConfig(config))).toBe("ERR_CONFIG");
      expect(codeOf(() => parseApiConfig({ ...config, reader_token_files: ["t"] }))).toBe("accepted");
    }
    for (const host of ["127.0.0.1", "127.8.8.8", "localhost", "::1"]) {
      expect(codeOf(() => parseApiConfig({ ...CONFIG, listen: { host } }))).toBe("accepted");
    }
  });

  it.each([
    ["an unknown member", { ...CONFIG, more: 1 }, "ERR_SHAPE"],
    ["no ledger", { ...CONFIG, ledgers: [] }, "ERR_SHAPE"],
    ["a name twice", { ...CONFIG, ledgers: [LEDGER, LEDGER] }, "ERR_CONFIG"],
    ["a name that is a path", withLedger({ name: "../x" }), "ERR_SHAPE"],
    ["an address with a slash at its end", withLedger({ url: "https://log.example/" }), "ERR_SHAPE"],
    ["an address with credentials", withLedger({ url: "https://a:b@log.example" }), "ERR_SHAPE"],
    ["an address of another scheme", withLedger({ url: "file:///etc" }), "ERR_SHAPE"],
    ["a policy without a log", withLedger({ witness_policy: "quorum none\n" }), "ERR_SHAPE"],
    ["no policy at all", withLedger({ witness_policy: "" }), "ERR_SHAPE"],
    ["no tokens in the list of them", { ...CONFIG, reader_token_files: [] }, "ERR_SHAPE"],
  ])("refuses %s", (_name, config, code) => {
    expect(codeOf(() => parseApiConfig(config))).toBe(code);
  });
});
