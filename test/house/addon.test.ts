import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");
const MODULE = pathToFileURL(join(ROOT, "dist", "kernel", "crypto", "node.js")).href;

/** What a process that is started with these flags says of Ed25519: who decides, and a signature of its own under its own verdict. */
function ed25519In(...flags: readonly string[]): unknown {
  const script = `const { ed25519, implementations } = await import(${JSON.stringify(MODULE)});
    const seed = new Uint8Array(32).fill(9), message = Uint8Array.of(1, 2, 3);
    const signature = ed25519.signer(seed)(message);
    const isTaken = ed25519.verifier(ed25519.publicKey(seed))(message, signature);
    console.log(JSON.stringify({ by: implementations.ed25519, isTaken, signature: Buffer.from(signature).toString("hex") }));`;
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, "--input-type=module", "-e", script], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

describe("the addon of libsodium", () => {
  it("is done without where a process may load none, with the same signatures", () => {
    const signature = expect.stringMatching(/^[0-9a-f]{128}$/u);
    const usual = ed25519In();
    expect(usual).toEqual({ by: "sodium-native", isTaken: true, signature });
    expect(ed25519In("--no-addons")).toEqual({ ...Object(usual), by: "node:crypto" });
  });
});
