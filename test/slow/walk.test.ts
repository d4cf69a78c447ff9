import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Finished, runCommandLine } from "../support/command.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-walk-"));
const data = join(folder, "data");
let first: Finished;
let second: Finished;

function bundles(): readonly string[] {
  return readdirSync(join(data, "bundles")).map((name) => join(data, "bundles", name));
}

function trustPolicy(): string {
  const [name = ""] = readdirSync(data).filter((entry) => entry.startsWith("trust"));
  return join(data, name);
}

describe("npm start -- --once", () => {
  beforeAll(() => {
    first = runCommandLine(["up", "--once", "--data", data]);
    second = runCommandLine(["up", "--once", "--data", data]);
  }, 180_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("ends with every required obligation passing, and says that hardware is not established", () => {
    expect(first.err).toBe("");
    expect(first.status, first.out).toBe(0);
    expect(first.out).toMatch(/not_established.*attestation\.hardware|attestation\.hardware.*not_established/u);
  });

  it("shows allowed calls, one denied call, and that the denied one changed nothing", () => {
    expect(first.out).toContain("denied  memory__delete_entities");
    expect(first.out).toMatch(/allowed memory__open_nodes: .*countersign-walk/u);
  });

  it("continues the same log and the same stream at the second start", () => {
    expect(second.status, second.out + second.err).toBe(0);
    const streams = bundles().map((path) => /([0-9a-f]{12})-\d+\.bundle\.json$/u.exec(path)?.[1]);
    expect(streams).toHaveLength(2);
    expect(new Set(streams).size).toBe(1);
  });

  it("leaves bundles that verify on their own, whenever it is run, with the same verdict", () => {
    for (const path of bundles()) {
      const once = runCommandLine(["verify", path, "--trust", trustPolicy(), "--json"]);
      const again = runCommandLine(["verify", path, "--trust", trustPolicy(), "--json"]);
      expect(once.status, once.out + once.err).toBe(0);
      expect(JSON.parse(once.out)["verdicts"]).toEqual(JSON.parse(again.out)["verdicts"]);
    }
  });

  it("refuses the bundle with one byte changed, truncated, or under another trust policy", () => {
    const [path = ""] = bundles();
    const text = readFileSync(path, "utf8");
    const changed = join(folder, "changed.json");
    const exits = [
      text.replace(/"seq":(\d)/u, (_, digit: string) => `"seq":${(Number(digit) + 1) % 10}`),
      text.slice(0, -2),
      `${text} `,
    ].map((broken) => {
      writeFileSync(changed, broken);
      return runCommandLine(["verify", changed, "--trust", trustPolicy()]).status;
    });
    expect(exits.every((exit) => exit === 1 || exit === 3)).toBe(true);
  });
});
