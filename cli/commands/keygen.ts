/** `countersign keygen`: keys for logs, witnesses and operators, and bearer tokens. */

import { randomBytes } from "node:crypto";
import { formatSignerKey, makeSignerKey } from "../../kernel/note/signer-key.ts";
import { formatVerifierKey } from "../../kernel/note/verifier-key.ts";
import type { Alg } from "../../kernel/signature/public-key.ts";
import { formatSecretKey } from "../../kernel/signature/secret-key.ts";
import { createSigner } from "../../kernel/signature/signer.ts";
import { type Arguments, type Command, EXIT, readArguments, UsageError } from "../command.ts";
import { makeToken, writeNewFile } from "../files.ts";
import type { Io } from "../io.ts";

const HELP = `countersign keygen <what> --out <file> [--name <name>] [--alg <alg>]

Makes a new key or token, writes it to a file of mode 0600 (never over an existing one) and prints its public half.

  log          note key that signs checkpoints: --name is the log's origin; --alg ed25519 (default) or ml-dsa-44
  witness      note key that cosigns checkpoints: --name is the witness; --alg ed25519 (default) or ml-dsa-44
  envelope     key that signs receipts and ledger statements: --alg ed25519 (default), es256 or mldsa65-ed25519
  token        bearer token of 256 random bits
`;

type NoteType = 0x01 | 0x04 | 0x06;
const NOTE_TYPES: Readonly<Record<string, Readonly<Record<string, NoteType>>>> = {
  log: { ed25519: 0x01, "ml-dsa-44": 0x06 },
  witness: { ed25519: 0x04, "ml-dsa-44": 0x06 },
};
const ENVELOPE_SECRET_BYTES: Readonly<Record<Alg, number>> = { ed25519: 32, es256: 32, "mldsa65-ed25519": 64 };

async function run(args: readonly string[], io: Io): Promise<number> {
  const options = { out: { type: "string" }, name: { type: "string" }, alg: { type: "string" } } as const;
  const given = readArguments(args, options, 1);
  const [what] = given.positionals;
  const made = make(what, given);
  writeNewFile(given.required("out"), `${made.secret}\n`, 0o600);
  io.out(`${made.shown}\n`);
  return EXIT.ok;
}

function make(what: string | undefined, given: Arguments): { secret: string; shown: string } {
  if (what === "token") return { secret: makeToken(), shown: `token written to ${given.required("out")}` };
  if (what === "envelope") return makeEnvelopeKey(given.text("alg") ?? "ed25519");
  const types = what === undefined ? undefined : NOTE_TYPES[what];
  if (types === undefined) throw new UsageError("say what to make: log, witness, envelope or token");
  return makeNoteKey(types, given);
}

function makeNoteKey(types: Readonly<Record<string, NoteType>>, given: Arguments): { secret: string; shown: string } {
  const type = types[given.text("alg") ?? "ed25519"];
  if (type === undefined) throw new UsageError(`--alg must be one of ${Object.keys(types).join(", ")}`);
  const key = makeSignerKey(given.required("name"), type, new Uint8Array(randomBytes(32)));
  return { secret: formatSignerKey(key), shown: formatVerifierKey(key.verifierKey) };
}

function makeEnvelopeKey(alg: string): { secret: string; shown: string } {
  if (!isAlg(alg)) throw new UsageError(`--alg must be one of ${Object.keys(ENVELOPE_SECRET_BYTES).join(", ")}`);
  const secret = new Uint8Array(randomBytes(ENVELOPE_SECRET_BYTES[alg]));
  return { secret: formatSecretKey({ alg, secret }), shown: createSigner(alg, secret).publicKey.kid };
}

function isAlg(alg: string): alg is Alg {
  return Object.hasOwn(ENVELOPE_SECRET_BYTES, alg);
}

/** Makes keys and tokens. */
export const keygenCommand: Command = { name: "keygen", summary: "make a key or a token", help: HELP, run };
