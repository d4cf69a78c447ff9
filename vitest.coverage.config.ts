import { defineConfig, type ViteUserConfig } from "vitest/config";
import quick from "./vitest.config.ts";

/** What covers the kernel: its own tests, also the long ones, and those that hold it to documents, vectors and verdicts. */
const { projects: _, ...rest } = quick.test ?? {};
const config: ViteUserConfig = defineConfig({
  ...quick,
  test: {
    ...rest,
    isolate: false,
    include: [
      "test/{kernel,docs,witness,vectors,verifier}/**/*.test.ts",
      // Statements of a log and the entries of other formats are tested where they are served and followed.
      "test/api/{entry-forms,follow-statements}.test.ts",
      "test/cli/ledger-words.test.ts",
      "test/ledger/{lifecycle-mirror,scitt,statement-audit,trace}.test.ts",
    ],
    exclude: ["test/verifier/browser.test.ts", "node_modules/**", "dist/**"],
  },
});
export default config;
