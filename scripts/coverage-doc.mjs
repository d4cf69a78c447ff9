// Writes docs/coverage.md from the table of the acceptance scenarios, as built.
import { readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { renderCoverage } from "../dist/test/scenarios/render-coverage.js";

const files = readdirSync(fileURLToPath(new URL("../test/scenarios", import.meta.url)));
writeFileSync(fileURLToPath(new URL("../docs/coverage.md", import.meta.url)), renderCoverage(files));
