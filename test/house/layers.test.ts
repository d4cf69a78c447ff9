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
const KERNEL_NODE_FILE = "kernel/crypto/node.ts";

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
  if (!BROWSER_SAFE.test(path) || path === KERNEL_NODE_FILE) return true;
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

describe("the house style", () => {
  const files = sourceFiles(Object.keys(ALLOWED));

  it("keeps every source file within 400 lines", () => {
    expect(files.filter(({ text }) => text.split("\n").length > 401).map(({ path }) => path)).toEqual([]);
  });

  it("names no file utils, helpers, common, types or index", () => {
    const vague = /(?:^|\/)(?:utils?|helpers?|common|types|index)\.ts$/u;
    expect(files.filter(({ path }) => vague.test(path)).map(({ path }) => path)).toEqual([]);
  });

  it("starts every file with a comment that says what it owns", () => {
    expect(files.filter(({ text }) => !/^(?:#![^\n]*\n)?\/\*\*/u.test(text)).map(({ path }) => path)).toEqual([]);
  });
});
