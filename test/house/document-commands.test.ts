/**
 * Every command of README.md and docs/ is run by a walk or by the gate, or stands on the list of those that are not, with its
 * reason; and each is one that the program, package.json and scripts/ take.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { argumentFault, helpOf } from "../support/arguments-only.ts";
import { commandsOf, type DocumentCommand, documentCommands } from "../support/document-commands.ts";
import { WALKS, walkLines } from "../support/document-walks.ts";
import { ownArguments, PLACEHOLDER } from "../support/own-arguments.ts";
import { ROOT } from "../support/source-files.ts";
import { UNRUN } from "../support/unrun-commands.ts";

const textOf = (path: string): string => readFileSync(join(ROOT, path), "utf8");

const commands = documentCommands();
const walks = Object.entries(WALKS);
const walked = new Set(walks.flatMap(([name]) => walkLines(name)));
const steps = [...textOf(".ci/run").matchAll(/^ *step "[^"]*" \d+ (.+)$/gmu)].map((match) => match[1] ?? "");
const manifest = JSON.parse(textOf("package.json")) as { readonly scripts: Readonly<Record<string, string>> };

/** What `npm test` or `npm run <script>` runs. */
function scriptOf(command: string): string | undefined {
  return manifest.scripts[/^npm (?:run )?([a-z:0-9-]+)/u.exec(command)?.[1] ?? ""];
}

const withoutBash = (command: string): string => command.replace(/^bash /u, "");

/** True if a step of the gate, or the script that it runs, begins with these words. */
function isInGate(command: string): boolean {
  const wanted = withoutBash(command);
  return [".ci/run", ...steps]
    .flatMap((step) => [step, scriptOf(step) ?? step].map(withoutBash))
    .some((run) => run === wanted || run.startsWith(`${wanted} `));
}

/** True for a code span that names a command, an action or an option, and has no operand: `countersign policy seal`. */
function isName({ text, block }: Pick<DocumentCommand, "text" | "block">): boolean {
  return block === undefined && /^(?:npx )?countersign(?: [a-z-]+){1,2}(?: --[a-z-]+)*$/u.test(text);
}

function isRun(command: Pick<DocumentCommand, "text" | "block">): boolean {
  const parts = command.text.split(" && ");
  return isName(command) || walked.has(command.text) || parts.every((part) => walked.has(part) || isInGate(part));
}

/** Words with what a name leaves out: the command's operand, the option's value. */
function completed(args: readonly string[]): readonly (readonly string[])[] {
  const at = args.findIndex((word) => word.startsWith("--"));
  const [words, options] = at === -1 ? [args, []] : [args.slice(0, at), args.slice(at)];
  return ["", "x"].flatMap((operand) =>
    ["", "x"].map((value) => [...words, operand, ...options, value].filter((word) => word !== "")),
  );
}

/** What the program says against a command of a document. */
async function faultsOf(command: DocumentCommand): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const args of ownArguments(command.text)) {
    const fault = await (isName(command) ? faultOfName(args) : argumentFault(args));
    if (fault !== undefined) faults.push(fault);
  }
  return faults;
}

async function faultOfName(args: readonly string[]): Promise<string | undefined> {
  const [name = "", ...more] = args;
  if ((await helpOf(name)) === undefined) return `no command ${name}`;
  if (more.length === 0) return undefined;
  for (const each of completed(args)) if ((await argumentFault(each)) === undefined) return undefined;
  return argumentFault(args);
}

/** What is wrong with an npm script that a command names, or with its options: its program has to read them. */
function scriptFaults(text: string): readonly string[] {
  const missing = [...text.matchAll(/scripts\/[\w-]+\.(?:sh|mjs)/gu)].filter(([path]) => !existsSync(join(ROOT, path)));
  const parts = text.split(" && ").filter((part) => /^npm (?!ci\b)/u.test(part));
  const wrong = parts.filter((part) => {
    const script = scriptOf(part);
    const program = /dist\/([\w/-]+)\.js/u.exec(script ?? "")?.[1];
    if (script === undefined) return true;
    const options = [...part.matchAll(/ (--[a-z-]+)/gu)].map((match) => match[1] ?? "");
    if (options.length === 0 || program === undefined) return options.length > 0;
    const source = program === "cli/main" ? textOf(`cli/commands/${script.split(" ")[2]}.ts`) : textOf(`${program}.ts`);
    return options.some((option) => !source.includes(`"${option}"`) && !source.includes(`\n  ${option} `));
  });
  return [...missing.map(([path]) => path), ...wrong];
}

describe("the commands of the documents", () => {
  it("are found in blocks and spans, whichever program they run", () => {
    expect(new Set(commands.map(({ text }) => text)).size).toBeGreaterThan(120);
    const found = commandsOf(
      "x.md",
      "`countersign a \\| x`\n```sh\n$ a b \\\n  c # d\n\ncurl x\n```\n`npm`, `scripts/x.sh`\n",
    );
    expect(found.map(({ text }) => text)).toEqual(["a b c", "curl x", "countersign a | x", "scripts/x.sh"]);
    expect(found.map(({ block }) => block)).toEqual(["a b c", "a b c", undefined, undefined]);
  });

  it("are each run by a walk or the gate, or listed with the reason why not", () => {
    const listed = new Set(UNRUN.flatMap((group) => group.commands));
    const open = commands.filter((command) => !isRun(command) && !listed.has(command.text));
    expect(open.map(({ document, text }) => `${document}: ${text}`)).toEqual([]);
  });

  it("are listed once, as long as a document has them and nothing runs them", () => {
    const listed = UNRUN.flatMap((group) => group.commands);
    const needed = new Set(commands.filter((command) => !isRun(command)).map(({ text }) => text));
    expect(listed.filter((text) => !needed.has(text))).toEqual([]);
    expect(listed.length).toBe(new Set(listed).size);
    expect(UNRUN.filter(({ because }) => because.length < 20)).toEqual([]);
  });

  it("are run, where the list says by which test, there by their subcommand", () => {
    for (const { tests, commands: held } of UNRUN) {
      const text = tests.map(textOf).join("\n");
      for (const [name = ""] of tests.length === 0 ? [] : held.flatMap(ownArguments)) {
        const constant = `${name.replace(/-([a-z])/gu, (_, letter: string) => letter.toUpperCase())}Command`;
        expect(text.includes(`"${name}"`) || text.includes(constant), `${tests.join(", ")}: ${name}`).toBe(true);
      }
    }
  });

  it("are taken from the walk's block by the test that runs it", () => {
    for (const [name, { test }] of walks)
      expect(textOf(test), name).toMatch(new RegExp(`walk(?:Block|Lines)\\("${name}"`, "u"));
  });

  it("are taken by the program: commands, words and options", async () => {
    const faults: string[] = [];
    for (const command of commands) {
      for (const fault of await faultsOf(command)) faults.push(`${command.document}: ${command.text}: ${fault}`);
    }
    expect(faults).toEqual([]);
  });

  it("say the words that the usage has, where the program reads options before the word", async () => {
    const faults: string[] = [];
    for (const { document, text } of commands) {
      for (const [name = "", word = ""] of ownArguments(text)) {
        if (!["approvals", "kill-switch", "ledger", "quarantine", "witness"].includes(name)) continue;
        if (word === "" || word === PLACEHOLDER || word.startsWith("--")) continue;
        const usage = ((await helpOf(name)) ?? "")
          .split("\n")
          .filter((line) => line.startsWith(`countersign ${name} `));
        const words = usage.map((line) => line.replace(/ --.*$/u, "").split(/[ |]+/u));
        if (!words.some((each) => each.includes(word))) faults.push(`${document}: ${text}`);
      }
    }
    expect(faults).toEqual([]);
  });

  it("name scripts that are there, with options that they read", () => {
    const faults = commands.flatMap(({ document, text }) => scriptFaults(text).map((fault) => `${document}: ${fault}`));
    expect(faults).toEqual([]);
  });
});

describe("a command that is wrong", () => {
  const span = (text: string): DocumentCommand => ({ document: "x.md", text, block: undefined });

  it("is found out by its name, word, option or operand", async () => {
    for (const bad of [
      "countersign fly",
      "countersign verify x --trusty y",
      "countersign verify --disclosures",
      "countersign mandate sign --key x",
      "countersign catalog fly x",
      "countersign keygen x --out z",
      "countersign up y z --once",
    ]) {
      expect(await faultsOf(span(bad)), bad).not.toEqual([]);
    }
    for (const good of [
      "countersign verify <x> [--trust <y>]",
      "countersign verify --disclosure",
      "countersign policy check nowhere",
      "npx countersign wrap --config x -- y --z",
    ]) {
      expect(await faultsOf(span(good)), good).toEqual([]);
    }
  });

  it("is found out by its script or the script's option", () => {
    for (const bad of [
      "npm run nothing",
      "npm ci && npm run bench -- --slow",
      "bash scripts/none.sh",
      "npm start -- --twice",
    ]) {
      expect(scriptFaults(bad), bad).not.toEqual([]);
    }
    for (const good of ["npm ci && npm test", "npm run test:crash -- --kills N --seed S", "npm start -- --once"]) {
      expect(scriptFaults(good), good).toEqual([]);
    }
  });

  it("is not taken for one that is run", () => {
    for (const text of [
      "npm run bench -- ledger",
      "npm tes",
      "countersign scan file x",
      "countersign verify x --trust y",
    ]) {
      expect(isRun(span(text)), text).toBe(false);
    }
    expect(isRun({ text: "countersign verify", block: "countersign verify" })).toBe(false);
    for (const text of [
      "npm run bench",
      "scripts/interop.sh",
      "npm ci && npm start",
      ".ci/run",
      "countersign policy seal",
    ]) {
      expect(isRun(span(text)), text).toBe(true);
    }
  });

  it("is read as a shell reads it, with a word for what the reader fills in", () => {
    expect(ownArguments("npx countersign a on|off <x y> [--z 'q r'] > f && countersign b 'l|m' | c")).toEqual([
      ["a", "on", PLACEHOLDER, "--z", "q r"],
      ["a", "off", PLACEHOLDER, "--z", "q r"],
      ["b", "l|m"],
    ]);
    expect(ownArguments("npx other && echo countersign a")).toEqual([]);
  });
});
