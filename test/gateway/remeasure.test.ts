/** A measurement that the machine had nothing left for. */

import { describe, expect, it } from "vitest";
import { ArtifactInForce } from "../../gateway/artifact/artifact-in-force.ts";
import { remeasure } from "../../gateway/artifact/remeasure.ts";
import { StoreError } from "../../kernel/errors.ts";
import { checkArtifact, sealArtifact } from "../../kernel/policy-artifact.ts";
import { makeFakeUpstream } from "../support/fake-upstream.ts";
import { artifactBody, SEAL_RULE, SEALERS } from "../support/policy-artifact.ts";

const [alice, bob] = SEALERS;
const AGENTS = new Map(
  artifactBody().subjects.map(({ principal, code = "", metadata }) => [principal, { code, metadata }]),
);
const NOW_MS = Date.parse("2026-03-02T00:00:00.000Z");

/** @returns what was waited, and why nothing is served */
async function measured(code: () => string): Promise<{ readonly waited: readonly number[]; readonly halted: unknown }> {
  const body = artifactBody({ limits: {} });
  const sealed = checkArtifact(
    sealArtifact(
      body,
      [alice, bob].map(({ signer }) => signer),
    ),
    SEAL_RULE,
  );
  const inForce = new ArtifactInForce(sealed, () => NOW_MS);
  const waited: number[] = [];
  await remeasure({
    inForce,
    measurements: { code, agents: () => AGENTS },
    upstreams: [makeFakeUpstream("s")],
    running: () => ({ policy: body.policy.digest, limits: {}, quarantine: undefined }),
    logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
    pause: (ms) => {
      waited.push(ms);
      return Promise.resolve();
    },
  });
  return { waited, halted: inForce.halted() };
}

/** A file that cannot be read so often, then can. */
function failing(times: number, code: string): () => string {
  let left = times;
  return () => {
    if (left === 0) return artifactBody().code ?? "";
    left -= 1;
    const cause = Object.assign(new Error(code), { code });
    throw left % 2 === 0 ? cause : new StoreError("ERR_UPSTREAM", "cannot measure it", { cause });
  };
}

describe("remeasure", () => {
  it("finds what it finds at once, where everything can be read", async () => {
    expect(await measured(failing(0, ""))).toEqual({ waited: [], halted: undefined });
    expect(await measured(() => "sha256:other")).toEqual({ waited: [], halted: "measurement.mismatch" });
  });

  it.each(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"])("asks again behind %s", async (code) => {
    expect(await measured(failing(3, code))).toEqual({ waited: [250, 1000, 4000], halted: undefined });
  });

  it("halts where the machine has nothing left for as long as that", async () => {
    expect(await measured(failing(4, "EMFILE"))).toEqual({ waited: [250, 1000, 4000], halted: "measurement.mismatch" });
  });

  it.each(["ENOENT", "EACCES", "EIO"])("halts at once behind %s, which says something of the file", async (code) => {
    expect(await measured(failing(1, code))).toEqual({ waited: [], halted: "measurement.mismatch" });
  });
});
