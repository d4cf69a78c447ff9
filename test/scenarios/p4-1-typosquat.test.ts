/** P4.1: a package that looks like a known one: not in the catalog, and approved by mistake. */

import { describe, expect, it } from "vitest";
import { renderFindings } from "../../cli/catalog/findings.ts";
import { makePaint } from "../../cli/paint.ts";
import { parseCatalog } from "../../gateway/catalog/catalog-file.ts";
import { scanDefinitions } from "../../gateway/inspection/scan-definitions.ts";
import { StoreError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/json/value.ts";
import { observedValue } from "../../kernel/receipt/observed.ts";
import type { Mode } from "../../kernel/receipt/vocabulary.ts";
import type { EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { ACME, ACME_PINNED, acmeStatement, IMPOSTOR } from "../support/publishers.ts";
import { textResult } from "./hostile-server.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const CUSTOMER = { customer: "Erika Beispiel" };
const TOOLS = [{ name: "search", answer: () => textResult("nothing found") }];

/** `postgrse` beside the real one; `approved` says which of them somebody has approved. */
const start = async (mode: Mode, ...approved: readonly string[]): Promise<Scenario> =>
  open(
    startScenario({
      mode,
      rules: PERMIT_ALL,
      pinned: approved,
      servers: { postgres: { tools: TOOLS }, postgrse: { tools: TOOLS } },
    }),
  );

const NAME = "com.acme/postgres";

/**
 * Both are approved, and both must be the publisher's `postgres`, which has stated so of the real one. For the look-alike
 * the impostor brings what there is: the publisher's own statement, or one that it signed itself.
 */
const startPublished = async (mode: Mode, forged: boolean): Promise<Scenario> => {
  const publisher = (id: string): JsonObject => ({ publisher: { name: "acme", server: NAME, statement_file: id } });
  return open(
    startScenario({
      mode,
      rules: PERMIT_ALL,
      pinned: ["postgres", "postgrse"],
      config: { catalog: { pin: "first-use", publishers: ACME_PINNED } },
      servers: {
        postgres: { tools: TOOLS, config: publisher("postgres") },
        postgrse: { tools: TOOLS, config: publisher("postgrse") },
      },
      bench: (servers) => {
        const about = (id: string, signer: EnvelopeSigner): Uint8Array => {
          const url = servers.find((server) => server.id === id)?.url ?? "";
          const server = { name: NAME, version: "16.1.0" };
          return acmeStatement({ server, identity: { kind: "http", url, spki: [] } }, signer);
        };
        const files = new Map([
          ["postgres", about("postgres", ACME)],
          ["postgrse", forged ? about("postgrse", IMPOSTOR) : about("postgres", ACME)],
        ]);
        const readFile = (path: string): Uint8Array => {
          const bytes = files.get(path);
          if (bytes === undefined) throw new StoreError("ERR_FILE_READ", `no ${path}`);
          return bytes;
        };
        return { options: { readFile } };
      },
    }),
  );
};

describe("P4.1 typosquat", () => {
  it.each(["enforcing", "advisory"] as const)("that nobody approved is not called in %s mode: U is 0", async (mode) => {
    const scenario = await start(mode, "postgres");
    const answer = await scenario.call("postgrse__search", CUSTOMER);
    expect(answer.error?.code).toBe(-32_602);
    expect(scenario.server("postgrse").count()).toBe(0);
    const [decision] = await scenario.decisions();
    expect(decision?.ruling).toMatchObject({ action: "refuse", step: "route" });
  });

  it("is a finding at approval that names what it looks like, and blocks the signature", async () => {
    const scenario = await start("enforcing", "postgres", "postgrse");
    const { body } = await scenario.operate("GET", "/catalog");
    const file = parseCatalog((body as { readonly file: Parameters<typeof parseCatalog>[0] }).file);
    const findings = scanDefinitions(file.servers);
    expect(findings).toContainEqual(
      expect.objectContaining({ server: "postgrse", rule: "name.look-alike", severity: "block" }),
    );
    expect(renderFindings(file, makePaint(false))).toContain("postgres");
  });

  it.each([
    ["the publisher's statement about the real one", false, "catalog-mismatch"],
    ["a statement of its own", true, "invalid"],
  ] as const)(
    "that was approved by mistake with %s is not called where servers must be of their publisher: U is 0",
    async (_, forged, provenance) => {
      const scenario = await startPublished("enforcing", forged);
      expect((await scenario.call("postgres__search", CUSTOMER)).error).toBeUndefined();
      expect((await scenario.call("postgrse__search", CUSTOMER)).error?.data).toMatchObject({
        reason: "server.publisher",
      });
      expect([scenario.server("postgres").count(), scenario.server("postgrse").count()]).toEqual([1, 0]);
      const [real, lookAlike] = await scenario.decisions();
      expect(real && observedValue(real.server)).toMatchObject({ id: "postgres", provenance: "verified" });
      expect(lookAlike?.ruling).toMatchObject({ action: "refuse", step: "identity", reasons: ["server.publisher"] });
      expect(lookAlike && observedValue(lookAlike.server)).toMatchObject({ id: "postgrse", provenance });
    },
  );

  it("that was approved by mistake is called in advisory mode, and the receipt says whose it is not", async () => {
    const scenario = await startPublished("advisory", true);
    await scenario.call("postgrse__search", CUSTOMER);
    expect(scenario.server("postgrse").count()).toBe(1);
    const [decision] = await scenario.decisions();
    expect(decision?.ruling).toMatchObject({ action: "forward", judgement: "deny", reasons: ["server.publisher"] });
    expect(decision && observedValue(decision.server)).toMatchObject({ provenance: "invalid" });
  });

  it.each(["enforcing", "advisory"] as const)(
    "that was approved by mistake is called in %s mode where no publisher is asked for, and the receipt says so: U is 1",
    async (mode) => {
      const scenario = await start(mode, "postgres", "postgrse");
      await scenario.call("postgrse__search", CUSTOMER);
      expect(scenario.server("postgrse").count()).toBe(1);
      const [decision] = await scenario.decisions();
      expect(decision && observedValue(decision.server)).toMatchObject({
        id: "postgrse",
        provenance: "unchecked",
        egress: { state: "not_established", reason: "attestation.no-device" },
      });
      const { hardware } = await scenario.evidence({ trust: { modes: [mode] } });
      expect(hardware).toBe("attestation.software");
    },
  );
});
