/** Build provenance: what a pinned builder signed is read, and nothing else counts. */

import { describe, expect, it } from "vitest";
import { ed25519 } from "#crypto";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { readProvenance, signProvenance, type TrustedBuilder } from "../../kernel/provenance.ts";
import { makePublicKey } from "../../kernel/signature/public-key.ts";
import { codeOf } from "../support/code-of.ts";
import { fencedBlocks } from "../support/fenced-blocks.ts";

const SEED = new Uint8Array(32).fill(7);
const KEY = makePublicKey("ed25519", ed25519.publicKey(SEED));
const OTHER = makePublicKey("ed25519", ed25519.publicKey(new Uint8Array(32).fill(8)));
const BUILDER: TrustedBuilder = { id: "https://ci.example.com/gateway", key: KEY };
const CODE = `sha256:${"1a".repeat(32)}`;
const SBOM = `sha256:${"2b".repeat(32)}`;
const facts = {
  builder: BUILDER.id,
  buildType: "urn:countersign:build:v1",
  name: "countersign",
  code: CODE,
  sbom: SBOM,
};
const BYTES = signProvenance(facts, SEED);

/** The envelope with its payload changed, signed again unless `sig` says otherwise. */
function resigned(
  change: (statement: Record<string, unknown>) => object,
  type = "application/vnd.in-toto+json",
): Uint8Array {
  const statement: Record<string, unknown> = JSON.parse(atob(JSON.parse(parseUtf8(BYTES)).payload));
  const payload = JSON.stringify(change(statement));
  const signed = formatUtf8(`DSSEv1 ${type.length} ${type} ${payload.length} ${payload}`);
  const sig = Buffer.from(ed25519.signer(SEED)(signed)).toString("base64");
  return formatUtf8(JSON.stringify({ payloadType: type, payload: btoa(payload), signatures: [{ keyid: "k", sig }] }));
}

describe("provenance", () => {
  it("is made as docs/formats/provenance.md shows it", () => {
    expect(parseUtf8(BYTES).trimEnd()).toBe(fencedBlocks("docs/formats/provenance.md")("provenance"));
  });

  it("is read with its subjects and what came with them, if a pinned builder signed it", () => {
    expect(readProvenance(BYTES, [{ id: "other", key: OTHER }, BUILDER])).toEqual({
      builder: BUILDER.id,
      subjects: new Set([CODE]),
      related: new Set([SBOM]),
    });
    expect(readProvenance(BYTES, [{ id: BUILDER.id, key: OTHER }])).toBeUndefined();
    expect(readProvenance(BYTES, [])).toBeUndefined();
  });

  it("of a pinned key that names another builder is false", () => {
    expect(codeOf(() => readProvenance(BYTES, [{ id: "https://else.example.com", key: KEY }]))).toBe(
      "ERR_PROVENANCE_BUILDER",
    );
  });

  it("with any one character changed, or cut anywhere, is signed by nobody or cannot be read", () => {
    const text = parseUtf8(BYTES).trimEnd();
    for (let at = 0; at < text.length; at += 1) {
      const changed = `${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`;
      for (const each of [changed, text.slice(0, at)]) {
        let read: unknown;
        const code = codeOf(() => {
          read = readProvenance(formatUtf8(each), [BUILDER]);
        });
        expect([at, code === "ERR_PROVENANCE" || read === undefined]).toEqual([at, true]);
      }
    }
  });

  it("may hold more than is read, and no other types", () => {
    expect(
      readProvenance(
        resigned((statement) => ({ ...statement, more: 1 })),
        [BUILDER],
      )?.subjects,
    ).toEqual(new Set([CODE]));
    const changes: readonly ((statement: Record<string, unknown>) => object)[] = [
      (statement) => ({ ...statement, _type: "https://in-toto.io/Statement/v0.1" }),
      (statement) => ({ ...statement, predicateType: "https://spdx.dev/Document" }),
      (statement) => ({ ...statement, subject: [] }),
      (statement) => ({ ...statement, subject: [{ digest: { sha1: "aa" } }] }),
      (statement) => ({ ...statement, predicate: { buildDefinition: {}, runDetails: { builder: {} } } }),
      () => [],
    ];
    for (const change of changes)
      expect(codeOf(() => readProvenance(resigned(change), [BUILDER]))).toBe("ERR_PROVENANCE");
    expect(
      codeOf(() =>
        readProvenance(
          resigned((same) => same, "text/plain"),
          [BUILDER],
        ),
      ),
    ).toBe("ERR_PROVENANCE");
    for (const signatures of [undefined, [], [1], [{ sig: "?" }]]) {
      const envelope = { ...JSON.parse(parseUtf8(BYTES)), signatures };
      expect(codeOf(() => readProvenance(formatUtf8(JSON.stringify(envelope)), [BUILDER]))).toBe("ERR_PROVENANCE");
    }
  });
});
