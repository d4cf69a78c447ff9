import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UsageError } from "../../cli/command.ts";
import { graphCommand } from "../../cli/commands/graph.ts";
import { present } from "../../kernel/receipt/observed.ts";
import { decide, denied, finish, LOADS, makeEvidence, openSession, type Step, sessionId } from "../support/evidence.ts";
import { recordIo } from "../support/recorded-io.ts";

/** Loads (1, 2), a session (3), a call (4, 5), and a denied one (6) whose arguments repeat a value of the first. */
const STEPS: readonly Step[] = [
  ...LOADS,
  openSession(),
  decide(0),
  finish(4),
  decide(1, (decision) => ({
    ...denied(decision),
    matches: present({
      items: [{ source: 5, pointer: "/params/arguments/to", kind: "exact", count: 1 }],
      bounded: false,
    }),
    edges: present([
      { source: 5, kind: "match", from: "clinical", to: "advertising" },
      { source: 5, kind: "order", from: "clinical", to: "advertising" },
    ]),
  })),
];

const folder = mkdtempSync(join(tmpdir(), "countersign-graph-"));
const bundle = join(folder, "bundle.json");
const trust = join(folder, "trust.json");

beforeAll(async () => {
  const evidence = await makeEvidence({ steps: STEPS });
  writeFileSync(bundle, evidence.bytes);
  writeFileSync(trust, JSON.stringify(evidence.trustJson));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function graph(...args: readonly string[]): Promise<{ exit: number; out: string; err: string }> {
  const { io, out, err } = recordIo();
  const exit = await graphCommand.run([bundle, ...args], io);
  return { exit, out: out(), err: err() };
}

describe("the call graph of a bundle", () => {
  it("has a node for each decision and ties each to the call whose answer it repeats or follows", async () => {
    const { exit, out } = await graph();
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      kind: "call-graph",
      v: 1,
      claim: expect.stringContaining("not what a model made"),
      nodes: [
        { seq: 4, server: "everything", name: "echo", action: "forward", status: "ok" },
        { seq: 6, action: "refuse", judgement: "deny", status: null },
      ],
      edges: [
        {
          from: 4,
          to: 6,
          kind: "match",
          match: { kind: "exact", pointer: "/params/arguments/to", count: 1 },
          domains: { from: "clinical", to: "advertising" },
        },
        { from: 4, to: 6, kind: "order", domains: { from: "clinical", to: "advertising" } },
      ],
    });
  });

  it("is DOT for Graphviz: a line for each call and tie", async () => {
    const { out } = await graph("--format", "dot");
    expect(out.match(/ -> /g)).toHaveLength(2);
    expect(out).toMatch(/^digraph calls \{\n.*\}\n$/su);
    expect(out).toContain("style=dashed");
  });

  it("is a picture in a file that is not overwritten", async () => {
    const out = join(folder, "graph.svg");
    await graph("--format", "svg", "--out", out);
    const svg = readFileSync(out, "utf8");
    expect(svg).toMatch(/^<svg .*<\/svg>\n$/su);
    expect(svg.match(/<path /g)).toHaveLength(2);
    await expect(graph("--out", out)).rejects.toMatchObject({ code: "ERR_FILE_WRITE" });
  });

  it("is of one session if that is asked, and of none that is not there", async () => {
    const one = await graph("--session", sessionId(1));
    expect(JSON.parse(one.out)).toMatchObject({ nodes: { length: 2 } });
    await expect(graph("--session", sessionId(9))).rejects.toThrow(UsageError);
    await expect(graph("--format", "png")).rejects.toThrow(UsageError);
  });

  it("says with a trust policy that the bundle does not hold, with the exit code of verify", async () => {
    const { exit, err } = await graph("--trust", trust);
    expect(exit).toBe(2);
    expect(err).toContain("countersign verify");
    expect(existsSync(trust)).toBe(true);
  });
});
