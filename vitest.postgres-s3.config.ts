import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";

/** The driver `postgres-s3` against a real PostgreSQL and a real S3 server; scripts/postgres-s3.sh brings both. */
const config: ViteUserConfig = defineConfig({
  resolve: { alias: { "#crypto": fileURLToPath(new URL("./kernel/crypto/node.ts", import.meta.url)) } },
  test: {
    testTimeout: 120_000,
    hookTimeout: 180_000,
    pool: "forks",
    include: ["test/postgres-s3/**/*.test.ts"],
    maxWorkers: 2,
  },
});
export default config;
