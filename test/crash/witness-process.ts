/** A witness in a process of its own that stops where the crash suite wants it. */

import { makeSignerKey } from "../../kernel/note/signer-key.ts";
import { startWitness } from "../../witness/start.ts";
import { LEDGER_KEYS, LEDGER_ORIGIN } from "../support/ledger-service.ts";
import { endOnTerm, logger, makeStall, report, startOptions } from "./child-side.ts";
import { stallingState } from "./stall.ts";

/** What the process is started with. */
export interface WitnessStart {
  readonly dataDir: string;
  readonly port: number;
  readonly name: string;
  readonly seedByte: number;
}

const { dataDir, port, name, seedByte } = startOptions<WitnessStart>();
const stall = makeStall(undefined);
const service = await startWitness({
  config: {
    listen: { port },
    data_dir: dataDir,
    key_files: ["unused"],
    logs: [{ origin: LEDGER_ORIGIN, keys: LEDGER_KEYS.map(({ verifierKey }) => verifierKey) }],
    requests_per_minute: 1_000_000,
  },
  keys: [makeSignerKey(name, 0x04, new Uint8Array(32).fill(seedByte))],
  logger,
  wrapFiles: (files) => stallingState(files, stall),
});
await report({ kind: "started", url: service.url });
endOnTerm(service.close);
