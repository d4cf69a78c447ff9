import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { UsageError } from "../../cli/command.ts";
import { verifyCommand } from "../../cli/commands/verify.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { formatPublicKey } from "../../kernel/signature/public-key.ts";
import { LOADS, makeEvidence, say } from "../support/evidence.ts";
import { receiptContents } from "../support/receipts.ts";
import { recordIo } from "../support/recorded-io.ts";
import { ALICE } from "../support/signed-catalog.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-verify-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, content: Uint8Array | string): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

const honest = await makeEvidence();
const bundle = file("bundle.json", honest.bytes);
const trust = file("trust.json", JSON.stringify(honest.trustJson, null, 2));

/** Exit code and output, or the code of what was refused: the caller prints it and exits 3. */
async function run(...args: readonly string[]): Promise<{ readonly exit: number | string; readonly out: string }> {
  const { io, out } = recordIo();
  try {
    return { exit: await verifyCommand.run(args, io), out: out() };
  } catch (error) {
    if (error instanceof UsageError) return { exit: "usage", out: out() };
    if (isCodedError(error)) return { exit: error.code, out: out() };
    throw error;
  }
}

describe("countersign verify", () => {
  it("exits 0 and says why", async () => {
    const { exit, out } = await run(bundle, "--trust", trust);
    expect(exit).toBe(0);
    expect(out).toContain("Verified: all 16 required obligations pass");
  });

  it("exits 1 for a fault and 2 for what is not established", async () => {
    const short = file("short.json", (await makeEvidence({ shown: (place) => place !== 9 })).bytes);
    expect((await run(short, "--trust", trust)).exit).toBe(1);
    const demanding = { ...honest.trustJson, require: ["attestation.hardware"] };
    expect((await run(bundle, "--trust", file("hardware.json", JSON.stringify(demanding)))).exit).toBe(2);
  });

  it("decides again where it is told to, and says what is missing for it", async () => {
    const { exit, out } = await run(bundle, "--trust", trust, "--replay", "--replay-catalog", trust);
    expect(exit).toBe(0);
    expect(out).toContain("replay.not-committed");
    const demanding = file("replay.json", JSON.stringify({ ...honest.trustJson, require: ["policy.replay"] }));
    expect((await run(bundle, "--trust", demanding, "--replay")).exit).toBe(2);
    expect((await run(bundle, "--trust", demanding, "--replay-policy", folder)).exit).toBe(2);
    expect((await run(bundle, "--trust", demanding)).out).toContain("replay.engine-absent");
  });

  it("takes session artifacts, and reads no more of a file than one can have", async () => {
    const artifact = file("artifact.json", "{}");
    const key = formatPublicKey(ALICE.signer.publicKey);
    const sealers = { threshold: 1, signers: [{ name: "alice", key }] };
    const open = { ...receiptContents()["session-open"], session_artifact: digestFile("{}") };
    const named = file("named.json", (await makeEvidence({ steps: [...LOADS, say(open)] })).bytes);
    const demanding = { ...honest.trustJson, sealers, require: ["artifact.session"] };
    const under = ["--trust", file("session.json", JSON.stringify(demanding))];
    const given = ["--session-artifact", trust, "--session-artifact", artifact];
    const results: (readonly [number | string, string | undefined])[] = [];
    for (const args of [[bundle, ...given], [named], [named, "--session-artifact", trust], [named, ...given]]) {
      const { exit, out } = await run(...args, ...under);
      results.push([exit, /session-artifact\.none|session-artifact\.not-disclosed|ERR_[A-Z_]+/u.exec(out)?.[0]]);
    }
    expect(results).toEqual([
      [2, "session-artifact.none"],
      [2, "session-artifact.not-disclosed"],
      [1, "ERR_ARTIFACT_DIGEST"],
      [1, "ERR_SHAPE"],
    ]);
    const [huge, largest] = [file("huge.json", ""), file("largest.json", "")];
    truncateSync(largest, 1_048_576);
    expect((await run(bundle, "--trust", trust, "--session-artifact", largest)).exit).toBe(0);
    truncateSync(huge, 2 ** 32);
    for (const path of [huge, folder, join(folder, "nowhere")]) {
      expect(await run(bundle, "--trust", trust, "--session-artifact", path)).toEqual({
        exit: "ERR_FILE_READ",
        out: "",
      });
    }
  });

  it("prints the whole result as JSON, whose exit is the exit", async () => {
    const { exit, out } = await run(bundle, "--trust", trust, "--json");
    expect(JSON.parse(out)).toMatchObject({ kind: "verification-result", v: 1, exit, verified: true });
  });

  it("judges as of a given time", async () => {
    const { exit, out } = await run(bundle, "--trust", trust, "--at", "2000-01-01T00:00:00.000Z");
    expect(exit).toBe(2);
    expect(out).toContain("as of 2000-01-01T00:00:00.000Z, as given");
    expect(out).toContain("time.before-evidence");
  });

  it.each<[string, readonly string[], string]>([
    ["a file that is no bundle", [trust, "--trust", trust], "ERR_JSON_CANONICAL"],
    ["a file that is no JSON", [file("text.json", "bundle"), "--trust", trust], "ERR_JSON_SYNTAX"],
    ["a file that is not there", [join(folder, "nowhere"), "--trust", trust], "ERR_FILE_READ"],
    ["a trust policy that is none", [bundle, "--trust", bundle], "ERR_SHAPE"],
    ["a trust policy that is not there", [bundle, "--trust", join(folder, "nowhere")], "ERR_FILE_READ"],
    ["a time of another spelling", [bundle, "--trust", trust, "--at", "2000-01-01"], "ERR_TIMESTAMP"],
    ["no trust policy", [bundle], "usage"],
    ["no bundle", ["--trust", trust], "usage"],
    ["two bundles", [bundle, bundle, "--trust", trust], "usage"],
    ["an unknown flag", [bundle, "--trust", trust, "--insecure"], "usage"],
  ])("refuses %s and prints no verdict", async (_, args, code) => {
    expect(await run(...args)).toEqual({ exit: code, out: "" });
  });
});
