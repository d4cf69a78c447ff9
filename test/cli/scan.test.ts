/** `countersign scan`: every kind of question has its answer, by the gateway's own rules, and a line that is none has one, too. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { scanCommand } from "../../cli/commands/scan.ts";
import { digestDefinition } from "../../gateway/catalog/digests.ts";
import { runInProcess } from "../support/command-io.ts";
import { ROOT } from "../support/source-files.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-scan-"));
const file = join(folder, "questions.jsonl");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Answer {
  readonly id?: string;
  readonly verdict?: string;
  readonly findings?: readonly { readonly rule: string; readonly start?: number; readonly path: string }[];
  readonly accept?: boolean;
  readonly code?: string;
  readonly error?: string;
  readonly matches?: readonly object[];
}

interface Scanned {
  readonly exit: number | undefined;
  readonly answers: readonly Answer[];
}

const scan = (...lines: readonly string[]): Promise<Scanned> => scanWith([], ...lines);

async function scanWith(options: readonly string[], ...lines: readonly string[]): Promise<Scanned> {
  writeFileSync(file, `${lines.join("\n")}\n`);
  const { exit, out } = await runInProcess(scanCommand, [...options, file]);
  const texts = out.split("\n").filter((line) => line !== "");
  return { exit, answers: texts.map((line) => JSON.parse(line) as Answer) };
}

const asked = (question: object): string => JSON.stringify({ id: "q", ...question });
const rulesOf = (answer: Answer | undefined): readonly string[] => (answer?.findings ?? []).map(({ rule }) => rule);

describe("countersign scan", () => {
  it("answers what the page about inspection asks, line for line", async () => {
    const page = readFileSync(join(ROOT, "docs", "inspection.md"), "utf8");
    const lines = /```json\n(\{"id": "1"[\s\S]*?)\n```/u.exec(page)?.[1]?.split("\n") ?? [];
    const { exit, answers } = await scan(...lines);
    expect(answers.map(({ id, verdict, accept }) => [id, verdict ?? accept])).toEqual([
      ["1", "pass"],
      ["2", "block"],
      ["3", "warn"],
      ["4", "block"],
      ["5", false],
      ["6", undefined],
    ]);
    expect(answers[5]?.matches).toEqual([{ from: 0, to: 1, path: "/to", kind: "exact" }]);
    expect(answers.slice(1, 4).map((answer) => rulesOf(answer)[0]?.split(".")[0])).toEqual(["inj", "pii", "name"]);
    expect([answers[4]?.code, exit]).toEqual(["json.duplicate-key", 1]);
  });

  it("finds places in texts, and paths in arguments and results", async () => {
    const { answers } = await scan(
      asked({ surface: "tool_result", text: "write to jane@example.org" }),
      asked({ surface: "tool_result", result: { content: [{ text: "jane@example.org" }] } }),
      asked({ surface: "tool_arguments", arguments: { "a/b": ["jane@example.org"] } }),
    );
    const places = answers.map(({ findings = [] }) => findings.map(({ rule, path, start }) => [rule, path, start]));
    expect(places).toEqual([
      [["pii.email", "", 9]],
      [["pii.email", "/content/0/text", 0]],
      [["pii.email", "/a~1b/0", 0]],
    ]);
  });

  it("tells JSON from a message, and one direction from the other", async () => {
    const hex = Buffer.from('{"jsonrpc":"1.0","id":1,"method":"ping"}').toString("hex");
    const { exit, answers } = await scan(
      asked({ surface: "json", hex, layer: "json" }),
      asked({ surface: "json", hex, scope: "egress" }),
    );
    expect(answers.map(({ accept, code }) => [accept, code])).toEqual([
      [true, undefined],
      [false, "rpc.version"],
    ]);
    expect(exit).toBe(1);
  });

  it("gives the digests by which a catalog pins a definition", async () => {
    const text = '{"name":"add","inputSchema":{"type":"object"}}';
    const { exit, answers } = await scan(asked({ surface: "pin", text }));
    expect([exit, answers]).toEqual([0, [{ id: "q", ...digestDefinition("tool", text) }]]);
  });

  it("asks the operator's own rules of arguments and results, and not of definitions, as the gateway does", async () => {
    const rules = join(folder, "own.rules.json");
    writeFileSync(rules, '{"rules":[{"id":"customer","pattern":"KD-[0-9]{8}","severity":"block"}]}');
    const lines = [
      asked({ surface: "tool_result", text: "about KD-12345678" }),
      asked({ surface: "tool_result", result: { content: [{ text: "about KD-12345678" }] } }),
      asked({ surface: "tool_arguments", arguments: { id: "KD-12345678" } }),
      asked({ surface: "tool_definition", tool: { name: "a", description: "KD-12345678", inputSchema: {} } }),
    ];
    const own = await scanWith(["--rules", rules], ...lines);
    expect(own.answers.map((answer) => [answer.verdict, rulesOf(answer)])).toEqual([
      ...Array.from({ length: 3 }, () => ["block", ["op.customer"]]),
      ["pass", []],
    ]);
    const none = await scan(...lines);
    expect([own.exit, none.exit]).toEqual([1, 0]);
    expect(none.answers.flatMap(rulesOf)).toEqual([]);
    expect((await runInProcess(scanCommand, ["--rules", rules, "--rules", rules, file])).fault).toBe(
      "ERR_POLICY_BUNDLE",
    );
    expect((await runInProcess(scanCommand, ["--rules", join(folder, "none"), file])).fault).toBe("ERR_FILE_READ");
  });

  it("finds national telephone numbers of the region that it is told, and of no other", async () => {
    const lines = [
      asked({ surface: "tool_result", text: "call 030 901820 today" }),
      asked({ surface: "tool_arguments", arguments: { note: "call 030 901820 today" } }),
    ];
    expect((await scan(...lines)).answers.flatMap(rulesOf)).toEqual([]);
    const told = await scanWith(["--phone-region", "DE"], ...lines);
    expect(told.answers.map(rulesOf)).toEqual([["pii.phone"], ["pii.phone"]]);
    expect((await runInProcess(scanCommand, ["--phone-region", "de", file])).fault).toBe("usage");
  });

  it("says what later arguments repeat of earlier results, and nothing of what the agent said first", async () => {
    const step = (argument: object, result: unknown): object => ({ arguments: argument, result });
    const { exit, answers } = await scan(
      asked({
        surface: "flow",
        steps: [
          step({ own: "4711-0815-own" }, { rows: [{ account: "4711-0815-xyz" }, { account: "4711-0815-own" }] }),
          step({ "a/b": ["see 4711-0815-xyz please"], own: "4711-0815-own" }, "done"),
        ],
      }),
      asked({ surface: "flow", steps: [{ arguments: {} }] }),
    );
    expect(answers[0]).toEqual({ id: "q", matches: [{ from: 0, to: 1, path: "/a~1b/0", kind: "token" }] });
    expect([answers[1]?.error, exit]).toEqual(["ERR_SHAPE", 3]);
  });

  it("answers every line, also behind one that is no question, and says so by its exit code", async () => {
    const { exit, answers } = await scan(
      "no JSON",
      '{"id":"a","surface":"unknown"}',
      '{"id":"b","surface":"name"}',
      '{"id":"c","surface":"name","name":"x","more":1}',
      '{"id":"d","surface":"json","hex":"7g"}',
      '{"id":"e","surface":"pin","text":"[]"}',
      "",
      '{"id":"f","surface":"name","name":"github"}',
    );
    expect(answers.slice(0, 6).every(({ error }) => error !== undefined)).toBe(true);
    expect(answers.map(({ id }) => id)).toEqual([...Array.from({ length: 4 }), "d", "e", "f"]);
    expect([answers[6]?.verdict, exit]).toEqual(["pass", 3]);
    expect((await runInProcess(scanCommand, [])).fault).toBe("usage");
    expect((await runInProcess(scanCommand, [join(folder, "none")])).fault).toBe("ERR_FILE_READ");
  });
});
