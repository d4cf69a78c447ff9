import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { UsageError } from "../../cli/command.ts";
import { provenanceCommand } from "../../cli/commands/provenance.ts";
import { ownCodeDigest } from "../../cli/gateway-measurements.ts";
import { digestFile } from "../../kernel/policy-manifest.ts";
import { readProvenance } from "../../kernel/provenance.ts";
import { formatSecretKey } from "../../kernel/signature/secret-key.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { recordIo } from "../support/recorded-io.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-provenance-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);
const secret = new Uint8Array(32).fill(9);
const ID = "https://ci.example.com";

describe("countersign provenance", () => {
  it("signs the code of this installation and a bill of materials, as a builder", async () => {
    writeFileSync(at("builder.key"), formatSecretKey({ alg: "ed25519", secret }));
    writeFileSync(at("sbom.json"), "{}");
    const args = ["--key", at("builder.key"), "--builder", ID, "--sbom", at("sbom.json"), "--out", at("p.json")];
    const { io, out } = recordIo();
    expect(await provenanceCommand.run(args, io)).toBe(0);
    expect(out()).toBe(`${ownCodeDigest()}\n`);
    const builders = [{ id: ID, key: createSigner("ed25519", secret).publicKey }];
    expect(readProvenance(readFileSync(at("p.json")), builders)).toEqual({
      builder: ID,
      subjects: new Set([ownCodeDigest()]),
      related: new Set([digestFile("{}")]),
    });
  });

  it("takes no key of another kind", async () => {
    writeFileSync(at("es256.key"), formatSecretKey({ alg: "es256", secret }));
    const args = ["--key", at("es256.key"), "--builder", ID, "--out", at("none.json")];
    await expect(provenanceCommand.run(args, recordIo().io)).rejects.toThrow(UsageError);
  });
});
