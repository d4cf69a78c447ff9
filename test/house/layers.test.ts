/** The walls between the folders, and what every source file is like. */

import { posix } from "node:path";
import { describe, expect, it } from "vitest";
import { importsOf, type SourceFile, sourceFiles } from "../support/source-files.ts";

/** The star of STYLE.md: folder → folders it may import besides itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  attestation: ["kernel"],
  verifier: ["kernel", "attestation"],
  witness: ["kernel"],
  ledger: ["kernel", "attestation", "verifier"],
  api: ["kernel", "attestation", "verifier"],
  gateway: ["kernel", "attestation", "verifier"],
  provider: ["kernel", "attestation", "verifier"],
  cli: ["kernel", "attestation", "verifier", "witness", "ledger", "api", "gateway", "provider"],
};

/** What runs in a browser too: kernel and verifier import no package of Node and none that needs it. */
const BROWSER_SAFE = /^(?:kernel|verifier)\//u;
const BROWSER_PACKAGES = /^(?:@noble\/|#crypto$)/u;
/** Node's side of `#crypto`. */
const KERNEL_NODE_FILES: ReadonlySet<string> = new Set(["kernel/crypto/node.ts", "kernel/crypto/sodium-ed25519.ts"]);

/** Every import that crosses a wall. */
function violations(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap(({ path, text }) =>
    importsOf(text)
      .filter((specifier) => !isAllowed(path, specifier))
      .map((specifier) => `${path} → ${specifier}`),
  );
}

function isAllowed(path: string, specifier: string): boolean {
  const [folder = ""] = path.split("/");
  if (!specifier.startsWith(".")) return isAllowedPackage(path, specifier);
  const [target = ""] = posix.normalize(posix.join(posix.dirname(path), specifier)).split("/");
  return target === folder || (ALLOWED[folder] ?? []).includes(target);
}

function isAllowedPackage(path: string, specifier: string): boolean {
  if (!BROWSER_SAFE.test(path) || KERNEL_NODE_FILES.has(path)) return true;
  return BROWSER_PACKAGES.test(specifier);
}

/** Uses of what only cli/ and `main.ts` files may touch. */
function processReaders(files: readonly SourceFile[]): readonly string[] {
  return files
    .filter(({ path }) => !path.startsWith("cli/") && !path.endsWith("/main.ts"))
    .filter(({ text }) => /\bprocess\.(?:env|argv)\b/u.test(text.replace(/\/\*[\s\S]*?\*\//gu, "")))
    .map(({ path }) => path);
}

describe("the layout", () => {
  const files = sourceFiles(Object.keys(ALLOWED));

  it("is walked for real: every folder that has code is seen", () => {
    const folders = new Set(files.map(({ path }) => path.split("/")[0]));
    for (const folder of ["kernel", "verifier", "gateway", "ledger", "witness", "api", "cli"]) {
      expect(folders).toContain(folder);
    }
    expect(files.length).toBeGreaterThan(100);
  });

  it("has one direction of imports", () => {
    expect(violations(files)).toEqual([]);
  });

  it("refuses a wall crossed by a static, a re-exporting or a dynamic import", () => {
    const bad = (path: string, text: string): readonly string[] => violations([{ path, text }]);
    expect(bad("kernel/x.ts", 'import { a } from "../ledger/a.ts";')).toHaveLength(1);
    expect(bad("kernel/x.ts", 'import { readFileSync } from "node:fs";')).toHaveLength(1);
    expect(bad("verifier/x.ts", 'import { Buffer } from "node:buffer";')).toHaveLength(1);
    expect(bad("verifier/x.ts", 'import { a } from "../gateway/a.ts";')).toHaveLength(1);
    expect(bad("gateway/a/x.ts", 'export { a } from "../../ledger/a.ts";')).toHaveLength(1);
    expect(bad("witness/x.ts", 'const a = await import("../verifier/a.ts");')).toHaveLength(1);
    expect(bad("ledger/x.ts", 'import {\n  a,\n} from "../test/support/a.ts";')).toHaveLength(1);
    expect(bad("ledger/x.ts", 'import { a } from "../kernel/a.ts";')).toHaveLength(0);
  });

  it("lets only the command read arguments and environment", () => {
    expect(processReaders(files)).toEqual([]);
    expect(processReaders([{ path: "ledger/x.ts", text: "const a = process.env;" }])).toEqual(["ledger/x.ts"]);
  });
});

/** What makes a result depend on when or where the code runs; other such names do not compile in tsconfig.kernel.json. */
const IMPURE = /\bDate\b|\bMath\.random\b|\bglobalThis\b|\bconsole\b|\bimport\.meta\b|\bprocess\b|\bBuffer\b/u;

/** Files of the kernel and the verifier whose code, comments left out, is not pure. */
function impureFiles(files: readonly SourceFile[]): readonly string[] {
  return files
    .filter(({ path }) => BROWSER_SAFE.test(path) && !KERNEL_NODE_FILES.has(path))
    .filter(({ text }) => IMPURE.test(codeOf(text)))
    .map(({ path }) => path);
}

/** The text without comments and strings. */
function codeOf(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/gu, "");
}

describe("kernel and verifier", () => {
  it("are pure: bytes in, values out; no clock, no randomness, no environment, no logger", () => {
    expect(impureFiles(sourceFiles(["kernel", "verifier"]))).toEqual([]);
    for (const text of ["const t = Date.now();", "Math.random();", "console.log(1);", "globalThis.fetch();"]) {
      expect(impureFiles([{ path: "kernel/x.ts", text }])).toEqual(["kernel/x.ts"]);
    }
    expect(impureFiles([{ path: "kernel/x.ts", text: '// no Date here\nconst a = "process";' }])).toEqual([]);
  });
});

describe("the house style", () => {
  const files = sourceFiles(Object.keys(ALLOWED));

  it("keeps every source file within 400 lines", () => {
    expect(files.filter(({ text }) => text.split("\n").length > 401).map(({ path }) => path)).toEqual([]);
  });

  it("has no barrels: no file passes on all of another, or has nothing of its own", () => {
    const passedOn = /^export (?:type )?\{[^}]*\} from "[^"]*";$/gmu;
    const isBarrel = (text: string): boolean =>
      /^export \*/mu.test(text) ||
      text
        .replace(/\/\*[\s\S]*?\*\//gu, "")
        .replace(passedOn, "")
        .trim() === "";
    expect(files.filter(({ text }) => isBarrel(text)).map(({ path }) => path)).toEqual([]);
    expect(isBarrel('/** All. */\nexport * from "./a.ts";\nconst b = 1;\n')).toBe(true);
    expect(isBarrel('/** All. */\nexport { a } from "./a.ts";\nexport type { B } from "./b.ts";\n')).toBe(true);
  });

  it("names no file utils, helpers, common, types or index", () => {
    const vague = /(?:^|\/)(?:utils?|helpers?|common|types|index)\.ts$/u;
    expect(files.filter(({ path }) => vague.test(path)).map(({ path }) => path)).toEqual([]);
  });

  it("starts every file with a comment that says what it owns", () => {
    expect(files.filter(({ text }) => !/^(?:#![^\n]*\n)?\/\*\*/u.test(text)).map(({ path }) => path)).toEqual([]);
  });
});
