/** Who acts for a person, as policies see it: from the credential alone. */

import { describe, expect, it } from "vitest";
import type { Caller } from "../../gateway/pipeline/call.ts";
import { gatewayBenches } from "../support/gateway-benches.ts";
import { CALLER, callOf, runCall } from "../support/gateway-run.ts";
import { bundleFiles } from "../support/policy-request.ts";

const benches = gatewayBenches("policy-actor");

const FILES = bundleFiles(`
@id("assistant") permit (principal is Mcp::User, action == Mcp::Action::"s/echo", resource)
when { context.system.actor == "https://idp.example|assistant" && context.system.subject == "https://idp.example|alice" };
@id("alone") permit (principal is Mcp::User, action == Mcp::Action::"s/echo", resource)
when { context.system.actors.isEmpty() };
@id("never") forbid (principal, action, resource) when { context.system.actors.contains("https://idp.example|banned") };
`);

function alice(...actors: readonly string[]): Caller {
  const issuer = "https://idp.example";
  const facts = { kind: "user", groups: [], roles: [], scopes: [], binding: "none" } as const;
  return { ...CALLER, issuer, name: "alice", facts: { ...facts, actors: actors.map((name) => ({ issuer, name })) } };
}

describe("a policy about the actor", () => {
  it.each<readonly [string, Caller, string]>([
    ["permits the assistant that the token names", alice("assistant"), "forward"],
    ["permits the person alone", alice(), "forward"],
    ["does not permit another program in the person's name", alice("other"), "refuse"],
    ["forbids a chain with somebody in it, however far away", alice("assistant", "banned"), "refuse"],
  ])("%s", async (_, caller, done) => {
    const run = await benches.open(benches.make({ policyFiles: FILES }));
    expect(await runCall(run, callOf("echo", { message: "x" }, { caller }))).toBe(done);
  });

  it("takes nothing from what a request says of itself", async () => {
    const run = await benches.open(benches.make({ policyFiles: FILES }));
    const call = callOf("echo", { message: "x" }, { caller: alice("other") });
    const claimed = {
      ...call,
      params: { ...call.params, _meta: { "countersign/actor": "other", actor: "assistant" } },
    };
    expect(await runCall(run, claimed)).toBe("refuse");
  });
});
