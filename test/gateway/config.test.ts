import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loopbackAddresses, makeLayout } from "../../cli/demo/layout.ts";
import { setUp } from "../../cli/demo/setup.ts";
import { GATEWAY_DEFAULTS, parseGatewayConfig } from "../../gateway/config.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { configOf } from "../support/gateway-run.ts";
import { ORIGIN, policyText } from "../support/log-keys.ts";

const VALID = configOf("/data", "http://127.0.0.1:4200", [{ id: "s" }]);
const LEDGER: JsonObject = {
  url: "http://127.0.0.1:4200",
  origin: ORIGIN,
  witness_policy: policyText(2),
  submit_token_file: "submit",
};

/** `auth` with one issuer. */
function oauth(issuer: JsonObject, more: JsonObject = {}): JsonObject {
  return { auth: { tokens: [], oauth: { issuers: [issuer], ...more } } };
}

/** A change of the valid configuration, the code that refuses it, and what the message must name. */
const FAULTS: readonly (readonly [string, JsonObject, string, string])[] = [
  ["an issuer without keys", oauth({ issuer: "https://idp.example" }), "ERR_SHAPE", "config.auth.oauth.issuers[0]"],
  [
    "an issuer that speaks for the gateway's own names",
    oauth({ issuer: "https://idp.example", jwks_file: "k", actor_issuers: ["spiffe://example.org"] }),
    "ERR_SHAPE",
    "config.auth.oauth.issuers[0]",
  ],
  ["an issuer called local", oauth({ issuer: "local", jwks_file: "k" }), "ERR_SHAPE", "config.auth.oauth.issuers[0]"],
  ["keys by plain HTTP", oauth({ issuer: "i", jwks_url: "http://127.0.0.1/k" }), "ERR_SHAPE", "config.auth.oauth"],
  [
    "keys by plain HTTP from elsewhere",
    oauth({ issuer: "i", jwks_url: "http://idp.example/k" }, { allow_loopback_http: true }),
    "ERR_SHAPE",
    "config.auth.oauth",
  ],
  [
    "certificates that no handshake asks for",
    { auth: { tokens: [], spiffe: [{ trust_domain: "a.example", bundle_file: "b" }] } },
    "ERR_CONFIG",
    "config.auth",
  ],
  ["an unknown member", { surprise: 1 }, "ERR_SHAPE", 'config."surprise"'],
  ["an unknown mode", { mode: "monitor" }, "ERR_SHAPE", "config.mode"],
  ["a key protection that is not there", { key_protection: "tpm" }, "ERR_SHAPE", "config.key_protection"],
  ["a port above the range", { listen: { port: 65_536 } }, "ERR_SHAPE", "config.listen.port"],
  ["a host with a slash", { operator_listen: { host: "a/b" } }, "ERR_SHAPE", "config.operator_listen.host"],
  [
    "a server id in capitals",
    { servers: [{ id: "S", url: "http://s.example/" }] },
    "ERR_SHAPE",
    "config.servers[0].id",
  ],
  [
    "a server that is both",
    { servers: [{ id: "s", url: "http://s/", command: "x" }] },
    "ERR_SHAPE",
    "config.servers[0]",
  ],
  [
    "two servers of one id",
    {
      servers: [
        { id: "s", command: "x" },
        { id: "s", command: "y" },
      ],
    },
    "ERR_CONFIG",
    "config.servers",
  ],
  ["a catalog of no form", { catalog: { url: "x" } }, "ERR_SHAPE", "config.catalog"],
  ["a pin that is not first-use", { catalog: { pin: "always" } }, "ERR_SHAPE", "config.catalog.pin"],
  ["a ledger with a path at the end", { ledger: { ...LEDGER, url: "http://l/" } }, "ERR_SHAPE", "config.ledger.url"],
  [
    "a ledger without a policy",
    { ledger: { ...LEDGER, witness_policy: "x\n" } },
    "ERR_SHAPE",
    "config.ledger.witness_policy",
  ],
  [
    "a policy of another log",
    { ledger: { ...LEDGER, origin: "other.example/log" } },
    "ERR_CONFIG",
    "config.ledger.witness_policy",
  ],
  [
    "a principal with a space",
    { auth: { tokens: [{ principal: "a b", token_file: "x" }] } },
    "ERR_SHAPE",
    "config.auth.tokens[0].principal",
  ],
  ["no heartbeat", { heartbeat_seconds: 0 }, "ERR_SHAPE", "config.heartbeat_seconds"],
  ["a fraction of a second", { session_ttl_seconds: 1.5 }, "ERR_SHAPE", "config.session_ttl_seconds"],
  ["an outbox below its reserve", { outbox: { max_receipts: 10 } }, "ERR_SHAPE", "config.outbox.max_receipts"],
  ["a durability that is not one", { durability: "maybe" }, "ERR_SHAPE", "config.durability"],
  [
    "one port for both listeners",
    { listen: { port: 4100 }, operator_listen: { port: 4100 } },
    "ERR_CONFIG",
    "config.operator_listen",
  ],
];

describe("the configuration of a gateway", () => {
  it.each(FAULTS)("with %s is refused, and the message names the member", (_what, change, code, name) => {
    expect(() => parseGatewayConfig({ ...VALID, ...change })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(name) }),
    );
  });

  it.each(["operator_token_file", "data_dir", "servers", "ledger", "auth"])(
    "without %s is refused by name",
    (member) => {
      const { [member]: _, ...rest } = VALID;
      expect(() => parseGatewayConfig(rest)).toThrow(
        expect.objectContaining({ code: "ERR_SHAPE", message: expect.stringContaining(`config.${member}`) }),
      );
    },
  );

  it("that enforces needs a policy bundle", () => {
    const { policy: _, ...rest } = VALID;
    expect(() => parseGatewayConfig(rest)).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", message: expect.stringContaining("config.policy") }),
    );
    expect(parseGatewayConfig({ ...rest, mode: "advisory" }).policy).toBeUndefined();
  });

  it("is frozen to its leaves", () => {
    const config = parseGatewayConfig(VALID);
    for (const part of [config, config.servers, config.servers[0], config.ledger, config.auth.tokens]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it("has the documented defaults", () => {
    const table = readFileSync(new URL("../../docs/gateway.md", import.meta.url), "utf8");
    expect(GATEWAY_DEFAULTS).toEqual({
      host: "127.0.0.1",
      port: 4100,
      operatorPort: 4101,
      mode: "advisory",
      heartbeatSeconds: 60,
      sessionTtlSeconds: 3_600,
      relistSeconds: 300,
      maxPinAgeSeconds: 900,
      maxReceipts: 100_000,
      durability: "durable",
    });
    for (const text of [
      "127.0.0.1:4100",
      "127.0.0.1:4101",
      "`advisory`",
      "Default 60",
      "Default 3600",
      "Default 300",
      "100,000",
    ]) {
      expect(table).toContain(text);
    }
  });

  it("that `countersign setup` writes is one", () => {
    const root = mkdtempSync(join(tmpdir(), "countersign-setup-"));
    try {
      const layout = makeLayout(root);
      setUp(layout, loopbackAddresses([1, 2, 3, 4, 5, 6, 7]), ORIGIN);
      const config = parseGatewayConfig(parseJson(readFileSync(layout.config("gateway"))));
      expect(config).toMatchObject({ mode: "enforcing", key_protection: "software", ledger: { origin: ORIGIN } });
      expect(config.ledger.witness_policy.quorum).toBe("quorum-group");
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});
