import { describe, expect, it } from "vitest";
import { nearest, readArguments, UsageError } from "../../cli/command.ts";
import { runCommand } from "../../cli/run.ts";
import { recordIo } from "../support/recorded-io.ts";

const OPTIONS = { config: { type: "string" }, "before-index": { type: "string" }, json: { type: "boolean" } } as const;

/** What is said against the words. */
function faultOf(...args: readonly string[]): string {
  try {
    readArguments(args, OPTIONS).count("before-index");
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return "";
}

async function run(...args: readonly string[]): Promise<{ exit: number; out: string; err: string }> {
  const { io, out, err } = recordIo();
  const exit = await runCommand(args, io);
  return { exit, out: out(), err: err() };
}

describe("wrong arguments", () => {
  it("name the option that is unknown, with the one that was meant", () => {
    expect(faultOf("--confg", "x")).toBe('unknown option "--confg"; did you mean "--config"?');
    expect(faultOf("--frobnicate")).toBe('unknown option "--frobnicate"');
    expect(faultOf("-c")).toBe('unknown option "-c"');
  });

  it("say in one line which option wants a value, and which takes none", () => {
    for (const args of [["--config"], ["--config", "--json"], ["--before-index", "-5"]]) {
      expect(faultOf(...args)).toMatch(new RegExp(`^${args[0]} wants a value; [^\\n]+$`, "u"));
    }
    expect(faultOf("--json=1")).toBe("--json takes no value");
  });

  it("name the option whose number is none", () => {
    for (const value of ["abc", "-5", "01", "1e3", "0x10", "", " 1", "9".repeat(21)]) {
      expect(faultOf(`--before-index=${value}`)).toContain("--before-index: ");
    }
    for (const value of ["0", "7", "18446744073709551615"]) expect(faultOf(`--before-index=${value}`)).toBe("");
  });

  it("are told from words that are like nothing", () => {
    expect(nearest("verfy", ["verify", "graph"])).toBe("verify");
    for (const word of ["", "x", "up2you", "fly"])
      expect(nearest(word, ["verify", "graph", "up"]), word).toBeUndefined();
  });

  it("of no command are unusable, with the one that was meant", async () => {
    expect(await run("verfy")).toMatchObject({ exit: 3, err: expect.stringContaining('did you mean "verify"?') });
    expect((await run("fly")).err).not.toContain("mean");
  });
});

describe("help and version", () => {
  it("are given by every usual word", async () => {
    const overview = await run("--help");
    for (const words of [[], ["help"], ["-h"]]) expect(await run(...words)).toEqual(overview);
    const about = await run("verify", "--help");
    expect(about).toMatchObject({ exit: 0, out: expect.stringContaining("countersign verify <bundle>") });
    for (const words of [
      ["help", "verify"],
      ["verify", "-h"],
      ["--help", "verify"],
    ]) {
      expect(await run(...words)).toEqual(about);
    }
    expect((await run("help", "fly")).exit).toBe(3);
    for (const word of ["version", "-v"]) expect(await run(word)).toEqual(await run("--version"));
  });

  it("behind a bare -- are the other program's", async () => {
    expect((await run("wrap", "--config", "/none", "--", "x", "-h")).exit).toBe(3);
  });
});
