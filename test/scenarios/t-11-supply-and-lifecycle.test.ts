/** T11: which build made a receipt, keys that rotate and end, gateways that are retired, tenants that ask for each other. */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { makeLogSigner } from "../../kernel/checkpoint/note-signer.ts";
import type { StatementBody } from "../../kernel/lifecycle/statement.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { OBLIGATION_IDS } from "../../kernel/obligation.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { signProvenance } from "../../kernel/provenance.ts";
import { formatPublicKey, parseKid } from "../../kernel/signature/public-key.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { startLedgers } from "../../ledger/start.ts";
import type { BuildFiles } from "../../verifier/build-provenance.ts";
import { wordOf } from "../support/evidence.ts";
import { ofKind } from "../support/gateway-run.ts";
import { ledgerOptions, makeDataDir } from "../support/ledger-service.ts";
import { ORIGIN } from "../support/log-keys.ts";
import { genesisBytes, header, pairOf, rotationBody, StatedLog } from "../support/log-statements.ts";
import { SEAL_RULE } from "../support/policy-artifact.ts";
import { bundleFiles } from "../support/policy-request.ts";
import { PERMIT_ALL, type Scenario, startScenario } from "./rig.ts";
import { ARTIFACT_CONFIG, boundBy, boundToCode, sealBoth, sealedBody, sealSession } from "./sealed.ts";
import { withScenarios } from "./with-scenarios.ts";

const open = withScenarios();
const HONEST = { "policy.files": "policy.not-disclosed" };

async function startAndCall(): Promise<Scenario> {
  const scenario = await open(startScenario({ rules: PERMIT_ALL, servers: { crm: { tools: [{ name: "find" }] } } }));
  await scenario.call("find");
  return scenario;
}

describe("T11 a build", () => {
  it("is named by the stream, and which code that is nobody vouches for without hardware", async () => {
    const scenario = await startAndCall();
    const [opened] = ofKind(await scenario.receipts(), "stream-open");
    expect(opened).toMatchObject({
      software: { name: "countersign", version: "0.1.0" },
      key_protection: "software",
      attestation: { state: "not_available", reason: "attestation.software" },
    });
    const judged = await scenario.evidence({ trust: { require: OBLIGATION_IDS } });
    expect([judged.hardware, judged.exit]).toEqual(["attestation.software", 2]);
  });
});

const SEED = new Uint8Array(32).fill(7);
const BUILDER = { id: "https://ci.example.com", key: formatPublicKey(createSigner("ed25519", SEED).publicKey) };
const CODE = digestFile("the code that was built");

/** A gateway under an artifact that seals its code, and the file of that artifact. */
async function startSealed(): Promise<{ readonly scenario: Scenario; readonly artifact: Uint8Array }> {
  let artifact: Uint8Array = new Uint8Array();
  const scenario = await open(
    startScenario({
      rules: PERMIT_ALL,
      pinned: ["crm"],
      servers: { crm: { tools: [{ name: "find" }] } },
      bench: boundToCode({
        files: bundleFiles(PERMIT_ALL),
        sealed: CODE,
        measured: () => CODE,
        onSealed: (bytes) => {
          artifact = bytes;
        },
      }),
    }),
  );
  await scenario.call("find");
  return { scenario, artifact };
}

describe("T11 from a receipt to a build", () => {
  const builtBy = (builder: string, code: string): Uint8Array =>
    signProvenance({ builder, buildType: "urn:x", name: "countersign", code }, SEED);
  const judged = async (build: BuildFiles | undefined, builders: readonly (typeof BUILDER)[]): Promise<string> => {
    const { result } = await sealed.scenario.evidence({
      trust: { builders, require: ["build.provenance"] },
      ...(build === undefined ? {} : { build }),
    });
    return wordOf(result, "build.provenance");
  };
  let sealed: Awaited<ReturnType<typeof startSealed>>;

  it("passes by the artifact that the receipt names and a pinned builder's statement about its code", async () => {
    sealed = await startSealed();
    const artifacts = [sealed.artifact];
    expect(await judged({ artifacts, provenance: [builtBy(BUILDER.id, CODE)] }, [BUILDER])).toBe("pass");
    const other = builtBy(BUILDER.id, digestFile("other code"));
    expect(await judged({ artifacts, provenance: [other] }, [BUILDER])).toBe("build.unknown");
    expect(await judged({ artifacts, provenance: [] }, [BUILDER])).toBe("build.unknown");
    expect(await judged(undefined, [BUILDER])).toBe("build.artifact-not-disclosed");
    expect(await judged({ artifacts, provenance: [builtBy(BUILDER.id, CODE)] }, [])).toBe("build.builders-none-pinned");
    const foreign = builtBy("https://else.example.com", CODE);
    expect(await judged({ artifacts, provenance: [foreign] }, [BUILDER])).toBe("ERR_PROVENANCE_BUILDER");
    const cut = [sealed.artifact.slice(0, -2)];
    expect(await judged({ artifacts: cut, provenance: [] }, [BUILDER])).toBe("build.artifact-not-disclosed");
  });

  it("is not established for a gateway under no artifact", async () => {
    const { result } = await (await startAndCall()).evidence({
      trust: { builders: [BUILDER] },
      build: { artifacts: [], provenance: [builtBy(BUILDER.id, CODE)] },
    });
    expect(wordOf(result, "build.provenance")).toBe("build.unsealed");
  });
});

describe("T11 from a receipt to what its agent was allowed", () => {
  it("passes by the sealed artifact of the agent that the receipts name, within the gateway's own", async () => {
    let [artifact, narrow] = [new Uint8Array(), new Uint8Array()];
    const scenario = await open(
      startScenario({
        rules: PERMIT_ALL,
        pinned: ["crm"],
        servers: { crm: { tools: [{ name: "find" }, { name: "wipe" }] } },
        bench: (servers, catalog) => {
          const files = bundleFiles(PERMIT_ALL);
          const body = sealedBody(servers, catalog, files);
          artifact = Uint8Array.from(sealBoth(body));
          narrow = Uint8Array.from(sealSession({ ...body, tools: ["crm/find"] }));
          const { config: _, ...bound } = boundBy(artifact, files);
          const own = { artifact: { ...ARTIFACT_CONFIG, sessions: { files: ["unused"] } } };
          return { ...bound, config: own, options: { ...bound.options, sessionArtifactFiles: [narrow] } };
        },
      }),
    );
    expect((await scenario.call("find")).result).toBeDefined();
    // It is not offered, so the call is refused before any policy is asked.
    expect((await scenario.call("wipe")).error).toBeDefined();
    const sealers = {
      threshold: 2,
      signers: SEAL_RULE.signers.map(({ name, key }) => ({ name, key: formatPublicKey(key) })),
    };
    const judged = async (files: readonly Uint8Array[]): Promise<readonly [string, string | undefined]> => {
      const { result } = await scenario.evidence({
        trust: { sealers, require: ["artifact.session"] },
        sessionArtifacts: files,
        build: { artifacts: [artifact], provenance: [] },
      });
      return [
        wordOf(result, "artifact.session"),
        result.obligations.find(({ id }) => id === "artifact.session")?.detail,
      ];
    };
    expect(await judged([narrow])).toEqual([
      "pass",
      "1 artifacts, 1 calls sent; 1 within a gateway's own that is there",
    ]);
    expect((await judged([]))[0]).toBe("session-artifact.not-disclosed");
    expect((await judged([narrow.slice(0, -1)]))[0]).toBe("ERR_ARTIFACT_DIGEST");
  });
});

describe("T11 keys of the log", () => {
  const rotated = new StatedLog().declare((index) => rotationBody(index, 0, 1));
  const successor = makeLogSigner(ORIGIN, pairOf(1)[0].seed);

  it("that were rotated: evidence holds for whoever pinned the old ones, by the entry that says so and by no word else", async () => {
    const before = rotated.entries;
    expect((await (await startAndCall()).evidence({ more: { before, signer: successor } })).words).toEqual(HONEST);
    const without = await (await startAndCall()).evidence({ more: { before: [genesisBytes], signer: successor } });
    expect(without.words["log.signature"]).toBe("ERR_LOG_SIGNATURE");
  });

  it("that were retired sign nothing any more", async () => {
    const retired = new StatedLog()
      .declare((index) => rotationBody(index, 0, 1))
      .declare((index) => ({ ...header(index), kind: "log-key-retirement", rotation_index: index - 1 }));
    const { words, exit } = await (await startAndCall()).evidence({ more: { before: retired.entries } });
    expect(words["log.signature"]).toBe("ERR_LOG_SIGNATURE");
    expect(exit).toBe(1);
  });
});

describe("T11 a gateway that is decommissioned", () => {
  const end =
    (stream: string) =>
    (index: number): StatementBody => ({
      ...header(index),
      kind: "registration-end",
      stream: parseKid(stream),
      reason: "retired",
    });

  it("has receipts that pass in front of the entry and fail behind it", async () => {
    const earlier = await startAndCall();
    const after = (index: number): readonly Uint8Array[] => [
      new StatedLog().fill(index - 1).sign(end(earlier.stream)(index)),
    ];
    expect((await earlier.evidence({ more: { before: [genesisBytes], after } })).words).toEqual(HONEST);
    const later = await startAndCall();
    const before = new StatedLog().declare(end(later.stream)).entries;
    const { words, exit } = await later.evidence({ more: { before } });
    expect(words["receipt.issuer"]).toBe("ERR_STREAM_ENDED");
    expect(exit).toBe(1);
  });
});

describe("T11 tenants of one ledger", () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });
  const QUIET = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const tokenOf = (name: string, who: string): string => `${who}-token-of-${name}-0123456789-0123456789`;

  /** Two logs that no stranger reads, with an entry each. */
  async function startTenants(): Promise<string> {
    const folder = await makeDataDir();
    const logs = ["a", "b"].map((name, n) => {
      const origin = `ledger.example/${name}`;
      const own = ledgerOptions(join(folder, name), QUIET, { config: { origin } });
      const logKeys = [0x01, 0x06].map((type, i) =>
        makeSignerKey(origin, type === 0x01 ? 0x01 : 0x06, new Uint8Array(32).fill(80 + 2 * n + i)),
      );
      const tokens = { submitToken: tokenOf(name, "submit"), readerTokens: [tokenOf(name, "reader")] };
      return { name, options: { ...own, ...tokens, logKeys } };
    });
    const service = await startLedgers({ listen: { port: 0 }, logs, logger: QUIET, closeGraceMs: 100 });
    closers.push(service.close, () => rm(folder, { recursive: true, force: true }));
    for (const name of ["a", "b"]) {
      const headers = { authorization: `Bearer ${tokenOf(name, "submit")}` };
      const added = await fetch(`${service.url}/${name}/add`, { method: "POST", body: `entry of ${name}`, headers });
      expect(added.status).toBe(200);
    }
    return service.url;
  }

  it("get the same answer about an entry of the other's and about one that is not there", async () => {
    const url = await startTenants();
    const headers = { authorization: `Bearer ${tokenOf("a", "reader")}` };
    const ask = async (path: string): Promise<readonly [number, string]> => {
      const answer = await fetch(`${url}/${path}`, { headers });
      return [answer.status, await answer.text()];
    };
    await expect.poll(async () => (await ask("a/tile/entries/000.p/2"))[0], { timeout: 30_000 }).toBe(200);
    const [there, absent] = [await ask("b/tile/entries/000.p/2"), await ask("b/tile/entries/000.p/9")];
    expect(there[0]).toBe(401);
    expect(absent).toEqual(there);
    const leafOf = (text: string): string => Buffer.from(hashLeaf(Buffer.from(text))).toString("hex");
    const byLeaf = await ask(`a/log-proof?leaf=${leafOf("entry of b")}`);
    expect(await ask(`a/log-proof?leaf=${leafOf("never added")}`)).toEqual(byLeaf);
    expect(byLeaf[0]).toBe(404);
  });

  it("get proofs of each other's entries only by what they cannot know without them: proofs are public, entries are not", async () => {
    const url = await startTenants();
    const ask = async (text: string): Promise<number> => {
      const leaf = Buffer.from(hashLeaf(Buffer.from(text))).toString("hex");
      return (await fetch(`${url}/b/log-proof?leaf=${leaf}`)).status;
    };
    await expect.poll(() => ask("entry of b"), { timeout: 30_000 }).toBe(200);
    expect(await ask("entry of b, guessed")).toBe(404);
  });
});
