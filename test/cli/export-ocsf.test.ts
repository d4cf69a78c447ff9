import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UsageError } from "../../cli/command.ts";
import { exportOcsfCommand } from "../../cli/commands/export-ocsf.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { decide, finish, LOADS, makeEvidence, openSession } from "../support/evidence.ts";
import { ocsfFaults } from "../support/ocsf-rules.ts";
import { recordIo } from "../support/recorded-io.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-ocsf-"));
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  const evidence = await makeEvidence({ steps: [...LOADS, openSession(), decide(0), finish(4)] });
  writeFileSync(at("bundle.json"), evidence.bytes);
  writeFileSync(at("trust.json"), JSON.stringify(evidence.trustJson));
  writeFileSync(at("strict.json"), JSON.stringify({ ...evidence.trustJson, policies: [`sha256:${"0".repeat(64)}`] }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(...args: readonly string[]): Promise<{ exit: number; err: string }> {
  const { io, err } = recordIo();
  return { exit: await exportOcsfCommand.run(args, io), err: err() };
}

describe("OCSF events of a bundle", () => {
  it("are one line for each receipt, valid, with the exit code of the verification if one is asked for", async () => {
    expect(await run(at("bundle.json"), "--out", at("plain.ndjson"))).toEqual({ exit: 0, err: "" });
    const lines = readFileSync(at("plain.ndjson"), "utf8").trimEnd().split("\n");
    expect(lines).toHaveLength(6);
    for (const line of lines) expect(ocsfFaults(parseJson(line))).toEqual([]);
    const failed = await run(at("bundle.json"), "--trust", at("strict.json"), "--out", at("judged.ndjson"));
    expect(failed).toMatchObject({ exit: 1, err: expect.stringContaining("not verified") });
    expect(readFileSync(at("judged.ndjson"))).toEqual(readFileSync(at("plain.ndjson")));
  });

  it("never replace a file, and come from one place", async () => {
    await expect(run(at("bundle.json"), "--out", at("trust.json"))).rejects.toMatchObject({ code: "ERR_FILE_WRITE" });
    for (const args of [[], [at("bundle.json"), "--data", folder], ["--data", folder, "--trust", at("trust.json")]]) {
      await expect(run(...args, "--out", at("none.ndjson"))).rejects.toThrow(UsageError);
    }
  });
});
