// Builds dist/ from the TypeScript sources and copies the files that are not TypeScript (the pages of console and approvals).
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = join(root, "node_modules", ".bin", process.platform === "win32" ? "tsc.cmd" : "tsc");

rmSync(join(root, "dist"), { recursive: true, force: true });
const { status, error } = spawnSync(tsc, ["-p", join(root, "tsconfig.build.json")], { stdio: "inherit" });
if (error !== undefined) {
  console.error(`build: cannot run the TypeScript compiler (${error.message}); run "npm ci" first`);
  process.exit(1);
}
if (status !== 0) process.exit(status ?? 1);
for (const page of [join("api", "console"), join("gateway", "operator", "page")]) {
  if (existsSync(join(root, page))) cpSync(join(root, page), join(root, "dist", page), { recursive: true });
}
const command = join(root, "dist", "cli", "main.js");
if (existsSync(command)) chmodSync(command, 0o755);
