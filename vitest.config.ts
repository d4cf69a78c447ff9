import { fileURLToPath } from "node:url";
import { defineConfig, type ViteUserConfig } from "vitest/config";
import { LONG } from "./vitest.slow.config.ts";

/** The verifier over a browser's primitives: its modules must not be those that other files have loaded. */
const BROWSER = "test/verifier/browser.test.ts";

/**
 * Files of one worker share loaded modules: loading them anew for each file costs as much time as the tests. No test may
 * leave anything behind in a module, in the environment or on the process.
 */
const config: ViteUserConfig = defineConfig({
  resolve: {
    alias: {
      "#crypto": fileURLToPath(new URL("./kernel/crypto/node.ts", import.meta.url)),
      // The copy that Node loads for graphql-yoga: values of two copies do not mix.
      graphql: fileURLToPath(new URL("./node_modules/graphql/index.js", import.meta.url)),
    },
  },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
    provide: { isWholeSweep: false },
    projects: [
      {
        extends: true,
        test: {
          name: "shared",
          include: ["test/**/*.test.ts"],
          exclude: [
            "test/slow/**",
            "test/postgres-s3/**",
            "test/scenarios/**",
            ...LONG,
            BROWSER,
            "node_modules/**",
            "dist/**",
          ],
          isolate: false,
        },
      },
      { extends: true, test: { name: "alone", include: [BROWSER], isolate: true } },
    ],
    coverage: {
      provider: "v8",
      // Absolute: a relative pattern would also match inside a folder that happens to be called so.
      include: [`${fileURLToPath(new URL("./kernel/", import.meta.url))}**/*.ts`],
      reporter: ["text-summary", "json-summary"],
      // What is not covered is mostly the other runtime's branch of a feature that is found by trying.
      thresholds: { lines: 98, statements: 97, functions: 97, branches: 94 },
    },
  },
});
export default config;
