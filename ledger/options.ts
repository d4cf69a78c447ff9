/** What a ledger is started with: its configuration, and as values what the configuration names files for. */

import type { SignerKey } from "../kernel/note/signer-key.ts";
import type { Listen } from "../kernel/service/listen.ts";
import type { Clock, Logger } from "../kernel/service/service.ts";
import type { EnvelopeSigner } from "../kernel/signature/signer.ts";
import type { LedgerConfig } from "./config.ts";
import type { StorageSecrets } from "./postgres-s3/config.ts";
import type { IndexStore } from "./sequence/index-store.ts";
import type { Disk } from "./storage/disk.ts";

/** Options of `startLedger`. */
export interface LedgerOptions {
  readonly config: LedgerConfig;
  /** The log's note keys, of types 0x01 and 0x06, all named as the origin: those that sign, and those of a rotation. */
  readonly logKeys: readonly SignerKey[];
  /** Envelope key that signs the genesis entry. */
  readonly operatorKey: EnvelopeSigner;
  /** Signs COSE receipts (ed25519 or es256); needed if and only if the configuration has `scitt`. */
  readonly scittKey?: EnvelopeSigner;
  /** Needed if and only if the configuration has the storage driver `postgres-s3`. */
  readonly storageSecrets?: StorageSecrets;
  /** Token of the operator's requests; needed if and only if the configuration has `operator_token_file`. */
  readonly operatorToken?: string;
  readonly submitToken: string;
  readonly readerTokens: readonly string[];
  readonly logger: Logger;
  /** Default: the system's clock. */
  readonly clock?: Clock;
  /** Default: the runtime's `fetch`. */
  readonly fetch?: typeof fetch;
  /** Where ML-DSA-44 signing runs. Default `worker`; `inline` where only sources are at hand. */
  readonly signing?: "worker" | "inline";
  /** How long a close waits for bodies that are on their way; default 3,000. */
  readonly closeGraceMs?: number;
  /** The data folder, as it is; tests hold back, fail and end the process at its writes here. */
  readonly wrapDisk?: (disk: Disk) => Disk;
  /** The same for the index. */
  readonly wrapIndex?: (store: IndexStore) => IndexStore;
  /** Size at which a write-ahead file is left for the next one. Default 32 MiB. */
  readonly walFileBytes?: number;
}

/** Options of `startLedgers`. */
export interface LedgersOptions {
  readonly listen: Listen;
  /** Names are distinct; what a log's own configuration says of listening is not looked at. */
  readonly logs: readonly { readonly name: string; readonly options: LedgerOptions }[];
  readonly logger: Logger;
  /** As for one log. */
  readonly closeGraceMs?: number;
}
