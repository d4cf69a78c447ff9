import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { classifyEntry } from "../../kernel/entry-kind.ts";
import { coseEntries } from "../support/cose.ts";

const formOf = (text: string): string => classifyEntry(formatUtf8(text)).form;

describe("the form of an entry", () => {
  it("is told from its bytes alone", () => {
    expect(classifyEntry(coseEntries[1] ?? new Uint8Array(0)).form).toBe("statement");
    expect(classifyEntry(formatUtf8('{"kind":"registration","v":1}'))).toMatchObject({
      form: "envelope",
      kind: "registration",
    });
    expect(formOf('{"eat_profile":"tag:agentrust-io.com,2026:trace-v0.2"}')).toBe("trust-record");
    expect(formOf('{"type":"TraceRevocation/1.0"}')).toBe("revocation");
    expect(formOf('{"type":"TraceRevocationBundle/1.0"}')).toBe("revocation");
  });

  it.each([
    "",
    "[]",
    "x",
    "{",
    "{}",
    '{"kind":1}',
    '{"kind":1,"eat_profile":"x"}',
    '{"type":"Other"}',
    '{"kind":"a","kind":"b"}',
    "\u00d2",
    `{"kind":"${"x".repeat(65_535)}"}`,
  ])("is unknown for %j", (text) => {
    expect(formOf(text)).toBe("unknown");
  });

  it("is an envelope whatever else it holds, so that no record can pass as two forms", () => {
    expect(formOf('{"eat_profile":"x","kind":"decision","type":"TraceRevocation/1.0"}')).toBe("envelope");
  });
});
