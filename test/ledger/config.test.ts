import { describe, expect, it } from "vitest";
import { isCodedError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import { parseLedgerConfig, parseLedgersConfig } from "../../ledger/config.ts";
import { codeOf } from "../support/code-of.ts";

const good = {
  listen: { host: "127.0.0.1", port: 4200 },
  data_dir: "data",
  origin: "log.example/a",
  log_kind: "receipts",
  log_key_files: ["a.key", "b.key"],
  operator_key_file: "operator.key",
  witness_policy: "quorum none\n",
  admission: { software_evidence: "allow" },
  submit_token_file: "submit",
  reader_token_files: ["read"],
  readers: "token",
};

/** Code and message of the refusal. */
function refusalOf(config: object): readonly [string, string] {
  try {
    parseLedgerConfig(parseJson(JSON.stringify(config)));
    return ["accepted", ""];
  } catch (error) {
    if (isCodedError(error)) return [error.code, error.message];
    throw error;
  }
}

describe("the configuration of a ledger", () => {
  it("is read with and without its optional members", () => {
    const more = { open_add: true, checkpoint_ms: 100, witness_ms: 500, witness_timeout_ms: 1000, promise_seconds: 60 };
    expect(parseLedgerConfig(parseJson(JSON.stringify({ ...good, ...more })))).toEqual({ ...good, ...more });
    expect(refusalOf({ ...good, listen: {} })[0]).toBe("accepted");
  });

  it("names mirrors with addresses and keys, which are never a log's", () => {
    const url = "https://mirror.example/push";
    const [own, foreign] = [0x04, 0x01].map((type) =>
      formatVerifierKey(
        makeSignerKey("mirror.example/one", type === 0x04 ? 0x04 : 0x01, new Uint8Array(32)).verifierKey,
      ),
    );
    expect(refusalOf({ ...good, mirrors: [{ url, key: own }] })[0]).toBe("accepted");
    expect(refusalOf({ ...good, mirrors: [{ url, key: foreign }] })[0]).toBe("ERR_SHAPE");
    expect(refusalOf({ ...good, mirrors: [{ url: "ftp://mirror.example", key: own }] })[0]).toBe("ERR_SHAPE");
  });

  it.each(Object.keys(good))("is refused without %s, by name", (name) => {
    const rest = Object.entries(good).filter(([other]) => other !== name);
    const [code, message] = refusalOf(Object.fromEntries(rest));
    expect([code, message.split(":")[0]]).toEqual(["ERR_SHAPE", `ledger.${name}`]);
  });

  it("takes the policy from a file, and either that or the text", () => {
    const { witness_policy: text, ...rest } = good;
    const fromFile = { ...rest, witness_policy_file: "policy" };
    const read = (file: object, policy = text): unknown =>
      parseLedgerConfig(parseJson(JSON.stringify(file)), (path) => (path === "policy" ? policy : ""));
    expect(read(fromFile)).toEqual(good);
    expect(codeOf(() => read({ ...fromFile, witness_policy: text }))).toBe("ERR_SHAPE");
    expect(codeOf(() => read(fromFile, "quorum nobody\n"))).toBe("ERR_POLICY_NAME");
    expect(codeOf(() => parseLedgerConfig(parseJson(JSON.stringify(fromFile))))).toBe("ERR_CONFIG");
  });

  it.each([
    ["listen.port", { listen: { port: 65_536 } }],
    ["listen.host", { listen: { host: "a b" } }],
    ["data_dir", { data_dir: "" }],
    ["origin", { origin: "with space" }],
    ["log_kind", { log_kind: "both" }],
    ["log_key_files", { log_key_files: ["one.key"] }],
    ["witness_policy", { witness_policy: "quorum nobody\n" }],
    ["witness_policy", { witness_policy: "" }],
    ["witness_policy", { witness_policy: "witness w no-key\nquorum w\n" }],
    ["admission.software_evidence", { admission: { software_evidence: true } }],
    ["readers", { readers: "everybody" }],
    ["checkpoint_ms", { checkpoint_ms: 1 }],
    ["witness_timeout_ms", { witness_timeout_ms: 1_000_000 }],
    ["promise_seconds", { promise_seconds: 59 }],
    ['"extra"', { extra: 1 }],
  ])("names %s when it is wrong", (name, change) => {
    const [code, message] = refusalOf({ ...good, ...change });
    expect([code, message.split(":")[0]?.split("[")[0]]).toEqual(["ERR_SHAPE", `ledger.${name}`]);
  });
});

describe("the configuration of several logs", () => {
  const { listen, ...alone } = good;
  const logOf = (name: string): object => ({ ...alone, name, origin: `log.example/${name}`, data_dir: name });
  const read = (config: object): unknown => parseLedgersConfig(parseJson(JSON.stringify(config)));
  const refusal = (...logs: readonly object[]): readonly [string, string] => {
    try {
      read({ listen, logs });
      return ["accepted", ""];
    } catch (error) {
      if (isCodedError(error)) return [error.code, error.message];
      throw error;
    }
  };

  it("is one address, and each log as it would be configured alone, with a name", () => {
    const config = { listen, logs: [logOf("a"), logOf("team-2")] };
    expect(read(config)).toEqual(config);
  });

  it("names what is wrong, and in which log", () => {
    expect(refusal()[0]).toBe("ERR_SHAPE");
    for (const name of ["", "A", "a/b", "-a", "a.b", "a".repeat(65)]) {
      const [code, message] = refusal(logOf("a"), { ...logOf("b"), name });
      expect([code, message.startsWith("ledger.logs[1].name:")]).toEqual(["ERR_SHAPE", true]);
    }
    expect(refusal({ ...logOf("a"), listen })[1]).toContain('ledger.logs[0]."listen"');
    expect(refusal({ ...logOf("a"), promise_seconds: 1 })[1]).toContain("ledger.logs[0].promise_seconds");
  });

  it("has each name, origin and folder once", () => {
    for (const member of ["name", "origin", "data_dir"]) {
      const shared = { [member]: "shared" };
      expect(refusal({ ...logOf("a"), ...shared }, { ...logOf("b"), ...shared })[0]).toBe("ERR_CONFIG");
    }
    expect(refusal(logOf("a"), logOf("b"))[0]).toBe("accepted");
  });
});
