import { describe, expect, it } from "vitest";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import {
  checkPublisher,
  checkStatementTime,
  MAX_PUBLISHER_BYTES,
  parsePublisherStatement,
} from "../../kernel/publisher-statement.ts";
import { parseTimestamp, timestampMs } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";
import { bytePrefixes, oneByteChanges } from "../support/each-byte.ts";
import { ACME, ACME_BODY, acmeStatement, IMPOSTOR } from "../support/publishers.ts";
import { sampled } from "../support/sweep.ts";

const BYTES = acmeStatement();
const OWNER = { name: "acme", key: ACME.publicKey };
const take = (bytes: Uint8Array): void => checkPublisher(parsePublisherStatement(bytes), OWNER);

describe("a publisher's statement", () => {
  it("is read as it was signed, byte for byte, for a server of either kind", () => {
    const statement = parsePublisherStatement(BYTES);
    expect(statement).toMatchObject({ kind: "publisher-statement", v: 1, ...ACME_BODY });
    expect(canonicalBytes(statement)).toEqual(BYTES);
    take(BYTES);
    const executable = `sha256:${"ab".repeat(32)}`;
    const stdio = acmeStatement({ identity: { kind: "stdio", executable, args: ["serve", ""] } });
    expect(parsePublisherStatement(stdio).identity).toEqual({ kind: "stdio", executable, args: ["serve", ""] });
    take(stdio);
  });

  it("is refused with any byte changed, left out, or cut off", () => {
    for (const changed of sampled(oneByteChanges(BYTES), 29)) expect(codeOf(() => take(changed))).toMatch(/^ERR_/u);
    for (const prefix of sampled(bytePrefixes(BYTES), 13)) expect(codeOf(() => take(prefix))).toMatch(/^ERR_JSON_/u);
    expect(codeOf(() => take(Uint8Array.from([...BYTES, 10])))).toMatch(/^ERR_JSON_/u);
    expect(codeOf(() => take(new Uint8Array(MAX_PUBLISHER_BYTES + 1).fill(0x20)))).toBe("ERR_JSON_SIZE");
  });

  it("is nobody's whose key did not sign it, and of no other name than the signed one", () => {
    const code = (bytes: Uint8Array, owner = OWNER): string | undefined =>
      codeOf(() => checkPublisher(parsePublisherStatement(bytes), owner));
    expect(code(acmeStatement({}, IMPOSTOR))).toBe("ERR_PUBLISHER_KEY");
    expect(code(acmeStatement({ publisher: "acne" }))).toBe("ERR_PUBLISHER_KEY");
    expect(code(BYTES, { name: "acme", key: IMPOSTOR.publicKey })).toBe("ERR_PUBLISHER_KEY");
    // The key's own kid over another key's signature.
    const forged = {
      ...parsePublisherStatement(BYTES),
      signatures: parsePublisherStatement(acmeStatement({ publisher: "acne" })).signatures,
    };
    expect(code(canonicalBytes(forged))).toBe("ERR_PUBLISHER_KEY");
  });

  it("holds from its first moment on, and at its end not any more", () => {
    const [from, until] = [timestampMs(ACME_BODY.not_before), timestampMs(ACME_BODY.not_after)];
    const at = (nowMs: number): string | undefined => codeOf(() => checkStatementTime(ACME_BODY, nowMs));
    expect([at(from - 1), at(until)]).toEqual(["ERR_PUBLISHER_TIME", "ERR_PUBLISHER_TIME"]);
    checkStatementTime(ACME_BODY, from);
    checkStatementTime(ACME_BODY, until - 1);
  });

  it("is not signed if no reader would take it", () => {
    const refused: readonly Partial<typeof ACME_BODY>[] = [
      { publisher: "" },
      { publisher: "acm\u0435" },
      { server: { name: "com.acme/ crm", version: "1" } },
      { server: { name: "com.acme/crm", version: "" } },
      { identity: { kind: "http", url: "ftp://mcp.crm.example/", spki: [] } },
      { identity: { kind: "stdio", executable: "sha256:00", args: [] } },
      { surface: "sha256:00" },
      { not_after: parseTimestamp("2020-01-01T00:00:00.000Z") },
    ];
    for (const change of refused) expect(codeOf(() => acmeStatement(change))).toBe("ERR_SHAPE");
  });
});
