/** What may leave the gateway's process: declared names, their addresses, declared programs, and nothing like them. */

import { describe, expect, it } from "vitest";
import { parseGatewayConfig } from "../../gateway/config.ts";
import { canonicalHost, isPrivateAddress } from "../../gateway/egress/address.ts";
import { declaredEgress, egressStatement } from "../../gateway/egress/egress-config.ts";
import { EgressRules } from "../../gateway/egress/egress-rules.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { codeOf } from "../support/code-of.ts";
import { configOf } from "../support/gateway-run.ts";

const declare = (config: JsonObject = {}) =>
  declaredEgress(
    parseGatewayConfig(
      configOf("/tmp/none", "http://ledger:4200", [], {
        config: {
          servers: [
            { id: "web", url: "https://mcp.example.com/mcp" },
            { id: "six", url: "http://[2001:DB8:0::1]:8080/mcp" },
            { id: "child", command: "/usr/bin/env", args: ["node", "server.js"] },
          ],
          ...config,
        },
      }),
    ),
  );
const rules = (config?: JsonObject) => new EgressRules(declare(config), "/usr/bin:/bin");

describe("egress rules", () => {
  it("allow declared hosts at their ports, in any spelling, and no neighbour of them", () => {
    const of = rules();
    for (const [host, port] of [
      ["mcp.example.com", 443],
      ["MCP.Example.com.", 443],
      ["ledger", 4200],
      ["2001:db8::1", 8080],
      ["[2001:0db8:0:0::0001]", 8080],
    ] as const) {
      expect(of.allowsHost(host, port), host).toBe(true);
    }
    for (const [host, port] of [
      ["mcp.example.com", 80],
      ["example.com", 443],
      ["evil-mcp.example.com", 443],
      ["mcp.example.com.evil.test", 443],
      ["169.254.169.254", 80],
      ["localhost", 4200],
    ] as const) {
      expect(of.allowsHost(host, port), host).toBe(false);
    }
    expect([of.allowsName("mcp.example.com"), of.allowsName("x.mcp.example.com")]).toEqual([true, false]);
  });

  it("let an address through once the resolver gave it for a declared name, and a public name never turn private", () => {
    const of = rules();
    expect(of.allowsAddress("203.0.113.7", 443)).toBe(false);
    expect(of.learn("mcp.example.com", "203.0.113.7")).toBe(true);
    expect(of.allowsAddress("203.0.113.7", 443)).toBe(true);
    expect(of.allowsAddress("203.0.113.7", 22)).toBe(false);
    for (const address of [
      "10.0.0.1",
      "127.0.0.1",
      "169.254.169.254",
      "::1",
      "fd00::1",
      "::ffff:10.0.0.1",
      "64:ff9b::a00:1",
    ]) {
      expect(of.learn("mcp.example.com", address), address).toBe(false);
      expect(of.allowsAddress(address, 443), address).toBe(false);
    }
    expect(of.learn("other.example.com", "203.0.113.8")).toBe(false);
    // A name without a dot is of a network of its own; a public one can be declared to be.
    expect(of.learn("ledger", "172.18.0.2")).toBe(true);
    expect(rules({ egress: { private_hosts: ["mcp.example.com"] } }).learn("mcp.example.com", "10.0.0.1")).toBe(true);
  });

  it("let the gateway look up what its own listeners are called, and not connect there", () => {
    const of = rules({ listen: { host: "Gateway.Example", port: 0 } });
    expect([of.allowsName("gateway.example"), of.learn("gateway.example", "10.1.1.1")]).toEqual([true, true]);
    expect([of.allowsHost("gateway.example", 443), of.allowsAddress("10.1.1.1", 443)]).toEqual([false, false]);
  });

  it("let declared programs start with exactly their arguments", () => {
    const of = rules();
    expect(of.allowsChild("/usr/bin/env", ["env", "node", "server.js"])).toBe(true);
    expect(of.allowsChild("/usr/bin/env", ["env", "node", "other.js"])).toBe(false);
    expect(of.allowsChild("/usr/bin/env", ["env", "node", "server.js", "--inspect"])).toBe(false);
    expect(of.allowsChild("/bin/sh", ["sh", "-c", "true"])).toBe(false);
  });

  it("know the special-purpose networks, and one spelling of each host", () => {
    for (const address of ["0.0.0.0", "100.64.0.1", "192.168.1.1", "224.0.0.1", "fe80::1", "not an address"]) {
      expect(isPrivateAddress(address), address).toBe(true);
    }
    for (const address of ["1.1.1.1", "203.0.113.1", "2606:4700::1111"]) expect(isPrivateAddress(address)).toBe(false);
    expect(canonicalHost("[FE80::1%eth0]")).toBe("fe80::1");
  });

  it("are stated with every destination; telemetry must be acknowledged", () => {
    const url = "https://collector.example:4318/v1/traces";
    const declared = declare({ egress: { telemetry: [{ url, acknowledged: true }] } });
    const stated = egressStatement("process", declared, true);
    expect(stated["threads"]).toEqual({ delivery: ["ledger ledger:4200"], sealing: [] });
    expect(egressStatement("process", declared, false)["threads"]).toEqual({});
    expect(stated["destinations"]).toEqual([
      "ledger ledger:4200",
      "server 2001:db8::1:8080",
      "server mcp.example.com:443",
      "telemetry collector.example:4318",
    ]);
    expect(codeOf(() => declare({ egress: { telemetry: [{ url }] } }))).toBe("ERR_SHAPE");
    expect(codeOf(() => declare({ egress: { telemetry: [{ url, acknowledged: false }] } }))).toBe("ERR_SHAPE");
  });
});
