/** Closes what a test started. */

import { afterEach } from "vitest";
import type { Scenario } from "./rig.ts";

/** Call it once in a file; what it returns keeps a scenario until its test has ended. */
export function withScenarios(): (starting: Promise<Scenario>) => Promise<Scenario> {
  const open: Scenario[] = [];
  afterEach(async () => {
    for (const scenario of open.splice(0)) await scenario.close();
  });
  return async (starting) => {
    const scenario = await starting;
    open.push(scenario);
    return scenario;
  };
}
