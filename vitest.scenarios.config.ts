import { defineConfig, type ViteUserConfig } from "vitest/config";
import quick from "./vitest.config.ts";

/** The acceptance scenarios: `npm run test:scenarios`. Real gateways before hostile servers, a file a row of the acceptance page. */
const config: ViteUserConfig = defineConfig({
  ...quick,
  test: {
    ...quick.test,
    projects: [
      { extends: true, test: { name: "scenarios", include: ["test/scenarios/**/*.test.ts"], isolate: false } },
    ],
  },
});
export default config;
