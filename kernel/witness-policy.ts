/**
 * Witness policies (C2SP tlog-policy): which logs are trusted, and how many witnesses must have cosigned.
 *
 *     log <vkey> [<url>]
 *     witness <name> <vkey> [<url>]
 *     group <name> all|any|<k> <member> ...
 *     quorum <name>|none
 *
 * Lines end in LF; items are separated by spaces and tabs; lines that begin with "#" are comments.
 */

import { equalBytes } from "./bytes.ts";
import { type Checkpoint, parseCheckpoint } from "./checkpoint/checkpoint.ts";
import { type VerifiedLine, verifyLines } from "./checkpoint/open-note.ts";
import { parseDecimal } from "./decimal.ts";
import { CheckError, FormatError } from "./errors.ts";
import { parseNote } from "./note/signed-note.ts";
import { type KeyType, parseVerifierKey, type VerifierKey } from "./note/verifier-key.ts";

/** Bound of a policy file, before anything of it is parsed. */
export const MAX_POLICY_CHARACTERS = 1_048_576;

const NONE = "none";

/** A log whose checkpoints count; one of its keys. */
export interface PolicyLog {
  /** Type 0x01 or 0x06; its name is the log's origin. */
  readonly key: VerifierKey;
  readonly url?: string;
}

/** A witness that groups and the quorum may name; one of its keys. */
export interface PolicyWitness {
  /** Means something only inside the policy. */
  readonly name: string;
  /** Type 0x04 or 0x06. */
  readonly key: VerifierKey;
  /** Submission prefix, where the policy serves a log. */
  readonly url?: string;
}

/** Counts as cosigned when at least `threshold` of its members are. */
export interface PolicyGroup {
  readonly name: string;
  /** 1 to the number of members. */
  readonly threshold: number;
  /** Names of witnesses and groups defined before this one; none of them is a member elsewhere. */
  readonly members: readonly string[];
}

/** A whole policy. Only `parseWitnessPolicy` makes them well-founded. */
export interface WitnessPolicy {
  /** May be empty: then the caller must know the log from elsewhere. */
  readonly logs: readonly PolicyLog[];
  readonly witnesses: readonly PolicyWitness[];
  readonly groups: readonly PolicyGroup[];
  /** Name of a witness or group, or `none`. */
  readonly quorum: string;
}

/** A checkpoint that a trusted log signed. */
export interface LogCheckpoint {
  readonly checkpoint: Checkpoint;
  /** The note text: what was signed. */
  readonly text: string;
  /** The key of the log whose line verified; the first one, if several did. */
  readonly logKey: VerifierKey;
}

/** A verified cosignature: name of the witness in the policy, and the POSIX time that it claims. */
export interface Cosignature {
  readonly witness: string;
  readonly timestampSeconds: bigint;
}

/** A checkpoint that a trusted log signed and a quorum of witnesses cosigned. */
export interface WitnessedCheckpoint extends LogCheckpoint {
  /** One for each line of a witness of the policy; all of them verified. */
  readonly cosignatures: readonly Cosignature[];
}

/**
 * The policy that `text` spells.
 *
 * Names are octets to the source. Text that came from UTF-8 compares as its octets do, since nothing is normalised.
 *
 * @param text  every line with its LF
 * @throws {FormatError} ERR_POLICY (syntax), ERR_POLICY_NAME, ERR_POLICY_KEY, ERR_POLICY_QUORUM, ERR_DECIMAL (threshold),
 *   and as `parseVerifierKey`
 * @throws {CheckError} ERR_KEY_WEAK
 */
export function parseWitnessPolicy(text: string): WitnessPolicy {
  if (text.length > MAX_POLICY_CHARACTERS) throw new FormatError("ERR_POLICY", "the policy is too long");
  // SPEC tlog-policy: the allowed octets are 0x09, 0x0A, 0x20-0x7E and 0x80-0xFF.
  if ([...text].some((c) => (c < " " && c !== "\t" && c !== "\n") || c === "\u007f")) {
    throw new FormatError("ERR_POLICY", "want no control character but tab and newline");
  }
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new FormatError("ERR_POLICY", "want a newline at the end of every line");
  const parser = new PolicyParser();
  for (const line of lines) {
    const [keyword, ...items] = line.split(/[ \t]+/u).filter((item) => item !== "");
    if (keyword !== undefined && !keyword.startsWith("#")) parser.addStatement(keyword, items);
  }
  return parser.finish();
}

/**
 * Checks that the keys whose cosignatures verified meet the quorum. Counts distinct witnesses, not lines.
 *
 * @throws {CheckError} ERR_QUORUM
 */
export function checkQuorum(policy: WitnessPolicy, verifiedKeys: readonly VerifierKey[]): void {
  const cosigned = policy.witnesses.filter(({ key }) => verifiedKeys.some((other) => sameKey(key, other)));
  const names = cosigned.map(({ name }) => name);
  if (isQuorum(policy, names)) return;
  throw new CheckError("ERR_QUORUM", `want the quorum ${policy.quorum}, got cosignatures of [${names.join(", ")}]`);
}

/** True if the named witnesses meet the quorum; always, if it is `none`. */
export function isQuorum(policy: WitnessPolicy, witnesses: readonly string[]): boolean {
  if (policy.quorum === NONE) return true;
  const cosigned = new Set(witnesses);
  // Groups name only what is defined above them: one pass in order decides them all.
  for (const { name, threshold, members } of policy.groups) {
    if (members.filter((member) => cosigned.has(member)).length >= threshold) cosigned.add(name);
  }
  return cosigned.has(policy.quorum);
}

/**
 * The earliest time, in POSIX seconds, by which the quorum was met: the smallest of the timestamps such that the
 * witnesses with this one or an earlier one are a quorum. Undefined if there is none, and for `quorum none`.
 */
export function quorumTime(policy: WitnessPolicy, cosignatures: readonly Cosignature[]): bigint | undefined {
  if (policy.quorum === NONE) return undefined;
  const inTime = [...cosignatures].sort((a, b) => (a.timestampSeconds < b.timestampSeconds ? -1 : 1));
  const names = inTime.map(({ witness }) => witness);
  return inTime.find((_, i) => isQuorum(policy, names.slice(0, i + 1)))?.timestampSeconds;
}

/**
 * Opens a checkpoint under a policy: signed by a log of that origin, cosigned by a quorum, and no line of any key of the
 * policy false.
 *
 * @param knownLogKeys  log keys known from elsewhere, beside those of the policy
 * @throws {FormatError} as `parseNote` and `parseCheckpoint`; ERR_COSIGNATURE
 * @throws {CheckError} ERR_ORIGIN, ERR_NOTE_SIGNATURE, ERR_LOG_SIGNATURE, ERR_QUORUM
 */
export function openWitnessedCheckpoint(
  note: string | Uint8Array,
  policy: WitnessPolicy,
  knownLogKeys: readonly VerifierKey[] = [],
): WitnessedCheckpoint {
  const logKeys = [...policy.logs.map(({ key }) => key), ...knownLogKeys];
  const { verified, ...opened } = openWithKeys(
    note,
    logKeys,
    policy.witnesses.map(({ key }) => key),
  );
  const cosignatures = policy.witnesses.flatMap(({ name, key }) =>
    verified
      .filter((line) => line.key === key)
      .map(({ timestampSeconds = 0n }) => ({ witness: name, timestampSeconds })),
  );
  checkQuorum(
    policy,
    verified.map(({ key }) => key),
  );
  return { ...opened, cosignatures };
}

/**
 * Opens a checkpoint by its log's signature alone.
 *
 * @throws {FormatError} as `parseNote` and `parseCheckpoint`; ERR_COSIGNATURE
 * @throws {CheckError} ERR_ORIGIN if no key has the origin's name, ERR_NOTE_SIGNATURE, ERR_LOG_SIGNATURE
 */
export function openLogCheckpoint(note: string | Uint8Array, logKeys: readonly VerifierKey[]): LogCheckpoint {
  const { verified: _, ...opened } = openWithKeys(note, logKeys, []);
  return opened;
}

function openWithKeys(
  note: string | Uint8Array,
  logKeys: readonly VerifierKey[],
  witnessKeys: readonly VerifierKey[],
): LogCheckpoint & { readonly verified: readonly VerifiedLine[] } {
  const parsed = parseNote(note);
  const checkpoint = parseCheckpoint(parsed.text);
  const ofOrigin = new Set(logKeys.filter((key) => key.name === checkpoint.origin));
  if (ofOrigin.size === 0) throw new CheckError("ERR_ORIGIN", "the checkpoint is of a log that is not known");
  const verified = verifyLines(parsed, [...logKeys, ...witnessKeys]);
  const logLine = verified.find(({ key }) => ofOrigin.has(key));
  if (logLine === undefined) throw new CheckError("ERR_LOG_SIGNATURE", "no key of the log signed the checkpoint");
  return { checkpoint, text: parsed.text, logKey: logLine.key, verified };
}

function sameKey(a: VerifierKey, b: VerifierKey): boolean {
  return a.name === b.name && a.type === b.type && equalBytes(a.publicKey, b.publicKey);
}

/** Takes statements in order: each may name only what is defined above it. */
class PolicyParser {
  readonly #logs: PolicyLog[] = [];
  readonly #witnesses: PolicyWitness[] = [];
  readonly #groups: PolicyGroup[] = [];
  readonly #names = new Set([NONE]);
  readonly #members = new Set([NONE]);
  #quorum: string | undefined;

  addStatement(keyword: string, items: readonly string[]): void {
    if (keyword === "log") this.#addLog(items);
    else if (keyword === "witness") this.#addWitness(items);
    else if (keyword === "group") this.#addGroup(items);
    else if (keyword === "quorum") this.#setQuorum(items);
    else throw new FormatError("ERR_POLICY", "want log, witness, group or quorum");
  }

  finish(): WitnessPolicy {
    if (this.#quorum === undefined) throw new FormatError("ERR_POLICY_QUORUM", "want a quorum line");
    return { logs: this.#logs, witnesses: this.#witnesses, groups: this.#groups, quorum: this.#quorum };
  }

  #addLog(items: readonly string[]): void {
    const [vkey, url, ...rest] = items;
    if (vkey === undefined || rest.length > 0) throw new FormatError("ERR_POLICY", "want log <vkey> [<url>]");
    const key = newKey(vkey, [0x01, 0x06], this.#logs);
    this.#logs.push({ key, ...(url === undefined ? {} : { url }) });
  }

  #addWitness(items: readonly string[]): void {
    const [name, vkey, url, ...rest] = items;
    if (name === undefined || vkey === undefined || rest.length > 0) {
      throw new FormatError("ERR_POLICY", "want witness <name> <vkey> [<url>]");
    }
    this.#define(name);
    const key = newKey(vkey, [0x04, 0x06], this.#witnesses);
    this.#witnesses.push({ name, key, ...(url === undefined ? {} : { url }) });
  }

  #addGroup(items: readonly string[]): void {
    const [name, rule, ...members] = items;
    if (name === undefined || rule === undefined || members.length === 0) {
      throw new FormatError("ERR_POLICY", "want group <name> all|any|<k> <member> ...");
    }
    for (const member of members) {
      // SPEC tlog-policy: each defined name can be listed as a group member at most once.
      if (!this.#names.has(member) || this.#members.has(member)) {
        throw new FormatError("ERR_POLICY_NAME", `want a member defined above and a member nowhere else: ${member}`);
      }
      this.#members.add(member);
    }
    this.#define(name);
    this.#groups.push({ name, threshold: parseThreshold(rule, members.length), members });
  }

  #setQuorum(items: readonly string[]): void {
    const [name, ...rest] = items;
    if (name === undefined || rest.length > 0) throw new FormatError("ERR_POLICY", "want quorum <name>|none");
    if (this.#quorum !== undefined) throw new FormatError("ERR_POLICY_QUORUM", "want one quorum line, got two");
    if (!this.#names.has(name)) throw new FormatError("ERR_POLICY_NAME", `want a quorum defined above: ${name}`);
    this.#quorum = name;
  }

  #define(name: string): void {
    if (this.#names.has(name)) throw new FormatError("ERR_POLICY_NAME", `want each name defined once: ${name}`);
    this.#names.add(name);
  }
}

/** A key of one of the types, not yet among `others`: the same public key under another name would count twice. */
function newKey(
  vkey: string,
  types: readonly KeyType[],
  others: readonly { readonly key: VerifierKey }[],
): VerifierKey {
  const key = parseVerifierKey(vkey);
  if (!types.includes(key.type)) throw new FormatError("ERR_POLICY_KEY", `want a key of type ${types.join(" or ")}`);
  if (others.some((other) => equalBytes(other.key.publicKey, key.publicKey))) {
    throw new FormatError("ERR_POLICY_KEY", "want each public key once");
  }
  return key;
}

function parseThreshold(rule: string, members: number): number {
  if (rule === "any") return 1;
  if (rule === "all") return members;
  const threshold = parseDecimal(rule);
  if (threshold < 1n || threshold > BigInt(members)) {
    throw new FormatError("ERR_POLICY", `want a threshold from 1 to ${members}, got ${threshold}`);
  }
  return Number(threshold);
}
