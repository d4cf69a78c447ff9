/** `countersign provenance`: a builder's signed statement about the code of this installation. */

import { digestFile } from "../../kernel/policy-manifest.ts";
import { signProvenance } from "../../kernel/provenance.ts";
import { parseSecretKey } from "../../kernel/signature/secret-key.ts";
import { type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { readBytes, writeNewFile } from "../files.ts";
import { ownCodeDigest } from "../gateway-measurements.ts";
import type { Io } from "../io.ts";

const HELP = `countersign provenance --key <file> --builder <id> --out <file> [--sbom <file>]

For whoever builds a gateway: measures the code of this installation as a gateway measures itself, and signs that it was
built here: an in-toto statement with SLSA provenance in a DSSE envelope (docs/formats/provenance.md). Whoever verifies
evidence pins the key and the id in the trust policy, and names the file: countersign verify --provenance <file>.

  --key <file>      an Ed25519 envelope key (countersign keygen envelope)
  --builder <id>    how the builder calls itself, for example https://ci.example.com/gateway
  --sbom <file>     a bill of materials, in any form: its SHA-256 is named beside the code
  --out <file>      the statement; an existing file is never replaced
`;

const OPTIONS = {
  key: { type: "string" },
  builder: { type: "string" },
  sbom: { type: "string" },
  out: { type: "string" },
} as const;

/** What is built, and how, by the URI of the format's document in this package. */
const BUILD_TYPE = "urn:countersign:build:v1";

async function run(args: readonly string[], io: Io): Promise<number> {
  const given = readArguments(args, OPTIONS);
  const builder = given.required("builder");
  if (!/^[\x21-\x7e]{1,1024}$/u.test(builder)) throw new UsageError("--builder: want printable ASCII without spaces");
  const { alg, secret } = parseSecretKey(readBytes(given.required("key")));
  if (alg !== "ed25519") throw new UsageError("--key: want an ed25519 key");
  const sbom = given.text("sbom");
  const code = ownCodeDigest();
  const facts = {
    builder,
    buildType: BUILD_TYPE,
    name: "countersign",
    code,
    ...(sbom === undefined ? {} : { sbom: digestFile(readBytes(sbom)) }),
  };
  writeNewFile(given.required("out"), new TextDecoder().decode(signProvenance(facts, secret)), 0o644);
  io.out(`${code}\n`);
  return EXIT.ok;
}

/** Signs what was built. */
export const provenanceCommand: Command = {
  name: "provenance",
  summary: "sign, as its builder, which code this installation is",
  help: HELP,
  run,
};
