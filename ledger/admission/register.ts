/** Registration: a gateway's keys become those of a stream of this log, if the log's admission policy allows it. */

import { CheckError } from "../../kernel/errors.ts";
import type { AdmissionPolicy } from "../../kernel/genesis.ts";
import { parseHex } from "../../kernel/hex.ts";
import { hashLeaf, type LeafHash, parseLeafHash } from "../../kernel/merkle/hash.ts";
import { type CheckedRegistration, parseRegistration } from "../../kernel/registration.ts";
import type { Decision, PendingEntry, Sequencer } from "../sequence/proposal.ts";
import { Refusal } from "./refusal.ts";
import type { StreamAccount } from "./stream-account.ts";
import { registrationRow, type StreamBook } from "./stream-book.ts";

/** What registration works with. */
export interface RegisterParts {
  readonly origin: string;
  readonly admission: AdmissionPolicy;
  readonly sequencer: Sequencer;
  readonly streams: StreamBook;
}

/** Where a stream's registration is in the log. */
export interface Registered {
  readonly stream: string;
  readonly index: bigint;
  readonly leaf: LeafHash;
  /** False if it was there before. */
  readonly isNew: boolean;
}

/**
 * Registers a stream; a second registration of the same two keys gets the first one's place.
 *
 * @param bytes  canonical JSON, signed by both keys
 * @throws {FormatError | CheckError} as `parseRegistration`; ERR_ADMISSION (another log's, or evidence that the policy
 *   does not take), ERR_REGISTRATION_CONFLICT (another receipt key)
 */
export async function register(parts: RegisterParts, bytes: Uint8Array): Promise<Registered> {
  const checked = parseRegistration(bytes);
  const { origin, evidence } = checked.registration;
  if (origin !== parts.origin) throw new CheckError("ERR_ADMISSION", `origin: want ${parts.origin}`);
  if (evidence.type === "software" && parts.admission.software_evidence === "refuse") {
    throw new CheckError("ERR_ADMISSION", "this log takes no keys that only software protects");
  }
  const entry: PendingEntry = { bytes, leaf: hashLeaf(bytes) };
  return parts.sequencer.submit<Registered>({
    entries: [entry],
    decide: (_known, next) => decide(parts.streams, checked, entry, next),
  });
}

function decide(
  streams: StreamBook,
  checked: CheckedRegistration,
  entry: PendingEntry,
  next: bigint,
): Decision<Registered> {
  const known = streams.decided(checked.keys.instance.kid);
  if (known !== undefined) return { entries: [], settle: () => answerKnown(known, checked) };
  const account = streams.register(checked, next, entry.leaf);
  return {
    entries: [entry],
    rows: [registrationRow(account)],
    settle: () => {
      account.show();
      return { stream: account.stream, index: next, leaf: entry.leaf, isNew: true };
    },
  };
}

function answerKnown(known: StreamAccount, { keys }: CheckedRegistration): Registered {
  if (known.keys.receipt.kid !== keys.receipt.kid) {
    const error = new CheckError("ERR_REGISTRATION_CONFLICT", "the stream is registered with another receipt key");
    throw new Refusal(error, { registered_index: known.registration.index });
  }
  const { index, leaf } = known.registration;
  return { stream: known.stream, index: BigInt(index), leaf: parseLeafHash(parseHex(leaf, 32)), isNew: false };
}
