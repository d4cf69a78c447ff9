import { describe, expect, it } from "vitest";
import { readEntry } from "../../api/follow/entry.ts";
import { concat, formatUtf8 } from "../../kernel/bytes.ts";
import { addReceipts, parseStatement } from "../../kernel/cose/statement.ts";
import { canonicalBytes } from "../../kernel/json/canonical.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { signNameExpiry, signNameReservation } from "../../kernel/trace/name-reservation.ts";
import { makeReceipt, makeStatement, statementIssuer } from "../support/cose.ts";
import { makeNamedRecord, makeRevocation, makeTrustRecord } from "../support/trace.ts";

const name = "0".repeat(32);
const time = formatTimestamp(1_790_000_000_000);
const origin = "log.example/a";
const stream = statementIssuer.publicKey.kid;
const reservation = { kind: "name-reservation", v: 1, origin, stream, name, time, expires: time } as const;
const expiry = { kind: "name-expiry", v: 1, origin, name, reserved_index: 1, time } as const;

describe("entries of other formats, as an auditor node reads them", () => {
  it.each([
    ["statement", makeStatement(1)],
    ["trust-record", canonicalBytes(makeNamedRecord(origin, {}))],
    ["revocation", canonicalBytes(makeRevocation({}))],
    ["name-reservation", signNameReservation(reservation, statementIssuer)],
    ["name-expiry", signNameExpiry(expiry, statementIssuer)],
  ])("are known by their form: %s", (form, bytes) => {
    expect(readEntry(1, bytes)).toEqual({ type: "other", form });
  });

  it("are unreadable in any other spelling", async () => {
    const transparent = addReceipts(parseStatement(makeStatement(1)), [await makeReceipt(1, 12)]);
    const spaced = formatUtf8(JSON.stringify(makeNamedRecord(origin, {}), null, 1));
    const foreign = canonicalBytes(makeTrustRecord({ subject: "é" }));
    const codes = [transparent, concat(makeStatement(1), Uint8Array.of(0)), spaced, foreign].map((bytes) => {
      const read = readEntry(1, bytes);
      return read.type === "unreadable" ? read.code : read.type;
    });
    expect(codes).toEqual(["ERR_ENTRY_FORM", "ERR_CBOR_SYNTAX", "ERR_ENTRY_FORM", "ERR_ANCHOR_FORM"]);
  });
});
