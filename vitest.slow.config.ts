import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";

/** The suites that start real processes, browsers or foreign programs; `npm run test:slow`. */
const config: ViteUserConfig = defineConfig({
  resolve: {
    alias: {
      "#crypto": fileURLToPath(new URL("./kernel/crypto/node.ts", import.meta.url)),
      // The copy that Node loads for graphql-yoga: values of two copies do not mix.
      graphql: fileURLToPath(new URL("./node_modules/graphql/index.js", import.meta.url)),
    },
  },
  test: {
    include: ["test/slow/**/*.test.ts"],
    testTimeout: 600_000,
    hookTimeout: 120_000,
    pool: "forks",
    fileParallelism: false,
  },
});
export default config;
