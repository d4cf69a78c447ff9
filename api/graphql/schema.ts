/** The GraphQL schema, whole. docs/graphql.md shows it and a test pins it: clients depend on every name. */

/** The schema in SDL. */
export const SCHEMA: string = `"""A whole number from 0 to 2^53 - 1: an index, a size, a sequence number."""
scalar Count

type Query {
  """This node and how each of its ledgers is followed."""
  node: NodeStatus!
  ledgers: [Ledger!]!
  """The newest witnessed checkpoint whose root this node recomputed from all entries. Everywhere: no ledger named means the first one configured."""
  checkpoint(ledger: String): Checkpoint
  """Receipts in the order of the log. A page may be shorter than asked for; hasNextPage and the end cursor say how to go on."""
  receipts(ledger: String, first: Int, after: String, last: Int, before: String, filter: ReceiptFilter): ReceiptConnection!
  """One receipt, by exactly one of: index; leafHash; stream and seq."""
  receipt(ledger: String, index: Count, leafHash: String, stream: String, seq: Count): Receipt
  sessions(ledger: String, first: Int, after: String, last: Int, before: String): SessionConnection!
  """One session; stream decides if two streams have a session of this id."""
  session(ledger: String, id: String!, stream: String): Session
  streams(ledger: String, first: Int, after: String, last: Int, before: String): StreamConnection!
  stream(ledger: String, id: String!): Stream
  registrations(ledger: String, first: Int, after: String, last: Int, before: String): RegistrationConnection!
  """Made from this node's own hashes. size: default is that of the newest witnessed checkpoint."""
  inclusionProof(ledger: String, index: Count!, size: Count): InclusionProof!
  consistencyProof(ledger: String, from: Count!, to: Count): ConsistencyProof!
  """C2SP tlog-proof of one entry under the newest witnessed checkpoint."""
  logProof(ledger: String, index: Count!): LogProof!
  alarms(ledger: String, first: Int, after: String, last: Int, before: String): AlarmConnection!
}

type NodeStatus {
  version: String!
  """When the process started."""
  started: String!
  """Limits of one request to this node."""
  limits: Limits!
  ledgers: [Ledger!]!
}

type Limits {
  maxDepth: Int!
  maxCost: Int!
  maxAliases: Int!
  maxTokens: Int!
  maxPage: Int!
  maxBodyBytes: Int!
  timeoutMs: Int!
}

enum FollowState {
  STARTING
  """All of the newest witnessed checkpoint is indexed."""
  FOLLOWING
  """What the ledger publishes is refused; the alarms say why."""
  REFUSED
  UNREACHABLE
  """The log signed two histories; it is not followed any more."""
  FORKED
  """The node's own index failed; it needs a restart."""
  FAILED
}

type Ledger {
  name: String!
  url: String!
  """The log's identity, pinned by this node's configuration."""
  origin: String!
  kind: LogKind!
  state: FollowState!
  """Since when it is in this state."""
  since: String
  """Last answer of the ledger that could be used."""
  lastContact: String
  """Entries in this node's index; each is proven to be in a witnessed tree."""
  indexed: Count!
  """Receipts among them."""
  receipts: Count!
  alarms: Count!
  """Alarms that were not stored because there are too many."""
  alarmsDropped: Count!
  checkpoint: Checkpoint
  witnesses: [Witness!]!
  """The pinned quorum, by its name in the witness policy."""
  quorum: String!
}

enum LogKind { RECEIPTS RAW UNKNOWN }

type Witness {
  name: String!
  """Key name of its cosignatures."""
  keyName: String!
  """Time of its newest cosignature that this node saw; its own clock."""
  lastCosigned: String
  """Size of that checkpoint."""
  lastSize: Count
}

type Checkpoint {
  ledger: String!
  origin: String!
  size: Count!
  """In hexadecimal."""
  root: String!
  """The signed note, verbatim."""
  note: String!
  """Cosignatures of pinned witnesses, all of them checked."""
  cosignatures: [Cosignature!]!
}

type Cosignature { witness: String!, time: String! }

enum ReceiptKind {
  STREAM_OPEN
  POLICY_LOAD
  CATALOG_LOAD
  SESSION_OPEN
  DECISION
  OUTCOME
  SESSION_SEAL
  HEARTBEAT
  REFUSALS
  DRIFT
  STREAM_CLOSE
}

"""What was done with a request: sent on, refused, held for approval, or answered without the server."""
enum Decision { ALLOW DENY HOLD PHANTOM }

"""All of these must hold. Each but from and to has an index of its own."""
input ReceiptFilter {
  kind: ReceiptKind
  """Name in the approved catalog."""
  tool: String
  """Id of the server in the catalog."""
  server: String
  session: String
  stream: String
  decision: Decision
  """Digest of the policy bundle in force."""
  policy: String
  """Earliest and latest time of the receipt, both inclusive: YYYY-MM-DDTHH:MM:SS.mmmZ"""
  from: String
  to: String
}

type PageInfo { hasNextPage: Boolean!, hasPreviousPage: Boolean!, startCursor: String, endCursor: String }

type ReceiptConnection {
  edges: [ReceiptEdge!]!
  pageInfo: PageInfo!
  """Of all pages; null where counting would cost more than one look-up."""
  totalCount: Count
}

type ReceiptEdge { cursor: String!, node: Receipt! }

type Receipt {
  ledger: String!
  """0-based place in the log."""
  index: Count!
  """SHA-256(00 || entry), in hexadecimal."""
  leafHash: String!
  stream: String!
  seq: Count!
  kind: ReceiptKind!
  """The gateway's clock."""
  time: String!
  """Null also where the receipt only commits to a name that is not in the catalog."""
  tool: String
  server: String
  method: String
  session: String
  """Of a decision receipt: what was done."""
  decision: Decision
  """What enforcing mode makes of it."""
  judgement: Judgement
  """True if another mode let through what enforcing mode would not."""
  wouldDeny: Boolean
  """The step of the gateway that settled it."""
  step: String
  reasons: [String!]!
  """Ids of the policies that determined the answer."""
  policies: [String!]!
  policy: Policy
  mode: String
  """Of an outcome receipt: how the call ended."""
  status: String
  effect: String
  """Of an outcome receipt: seq of its decision."""
  decisionSeq: Count
  """The entry as the log holds it: canonical JSON with its signatures."""
  entry: String!
  checks: Checks!
}

enum Judgement { ALLOW DENY HOLD }

type Policy { digest: String!, version: String! }

enum Verdict { PASS FAIL NOT_ESTABLISHED }

type Check {
  verdict: Verdict!
  """An error code; null for PASS."""
  code: String
}

"""What this node checked itself."""
type Checks {
  """The entry is in the tree of a checkpoint that the pinned log signed and a quorum of pinned witnesses cosigned."""
  inclusion: Check!
  """Signed by the receipt key that its stream registered with this log."""
  signature: Check!
  """Follows the receipt before it in its stream."""
  continuity: Check!
  """Who holds the stream's keys. This node pins no gateway, so it never says PASS; a verifier with a trust policy can."""
  issuer: Check!
}

type Calls {
  total: Count!
  allowed: Count!
  denied: Count!
  faulted: Count!
  """Sent on and without an outcome."""
  open: Count!
}

enum SessionState {
  OPEN
  SEALED
  """Not sealed, and older than its stream's longest session: its tail may be missing."""
  UNSEALED_TOO_LONG
}

type Session {
  ledger: String!
  id: String!
  stream: String!
  opened: String!
  openIndex: Count!
  """Where the session's id comes from, and how far it can be trusted."""
  source: String!
  trust: String!
  lastTime: String!
  state: SessionState!
  """Counted here from the receipts."""
  calls: Calls!
  seal: Seal
  """Whether the seal says the same counts; NOT_ESTABLISHED without a seal."""
  sealCounts: Verdict!
  receipts(first: Int, after: String, last: Int, before: String): ReceiptConnection!
}

type Seal { index: Count!, time: String!, reason: String!, calls: Calls! }

type SessionConnection { edges: [SessionEdge!]!, pageInfo: PageInfo! }
type SessionEdge { cursor: String!, node: Session! }

type Stream {
  ledger: String!
  """Key id of the gateway's instance key."""
  id: String!
  registration: Registration
  """Origin of the home log that it declares. In any other log it proves no completeness."""
  homeLog: String
  keyProtection: String
  software: String
  """The stream that this one replaces."""
  predecessor: String
  """Sequence number of the next receipt."""
  nextSeq: Count!
  """Receipts that are signed and in their place."""
  receipts: Count!
  """Receipts that failed a check; each has an alarm."""
  faults: Count!
  lastTime: String
  closed: Boolean!
  """Longest silence that it declared, and how long it is silent now by this node's clock."""
  heartbeatSeconds: Count
  silentSeconds: Count
  """Runs of sequence numbers that the log does not hold; at most 64."""
  gaps: [Gap!]!
  moreGaps: Count!
  """Sessions without a seal, at most 100."""
  unsealedSessions: [Session!]!
}

"""Both ends inclusive."""
type Gap { from: Count!, to: Count! }

type StreamConnection { edges: [StreamEdge!]!, pageInfo: PageInfo! }
type StreamEdge { cursor: String!, node: Stream! }

type Registration {
  ledger: String!
  index: Count!
  leafHash: String!
  stream: String!
  time: String!
  """A name for people, which proves nothing."""
  label: String
  """What speaks for the instance key."""
  evidence: String!
  instanceKey: PublicKey!
  receiptKey: PublicKey!
}

type PublicKey {
  alg: String!
  """In base64."""
  key: String!
}

type RegistrationConnection { edges: [RegistrationEdge!]!, pageInfo: PageInfo! }
type RegistrationEdge { cursor: String!, node: Registration! }

"""RFC 6962 inclusion proof; hashes in hexadecimal, leaf to root."""
type InclusionProof {
  ledger: String!
  index: Count!
  size: Count!
  leafHash: String!
  hashes: [String!]!
  root: String!
  """True if this is the root of the checkpoint that this node recomputed and a quorum cosigned."""
  witnessed: Boolean!
}

"""RFC 6962 consistency proof; hashes in hexadecimal."""
type ConsistencyProof {
  ledger: String!
  from: Count!
  fromRoot: String!
  to: Count!
  toRoot: String!
  hashes: [String!]!
}

type LogProof {
  ledger: String!
  index: Count!
  size: Count!
  """The proof, verbatim (C2SP tlog-proof): check it with your own keys."""
  text: String!
}

enum AlarmKind {
  FORK
  SHRINK
  QUORUM_MISSING
  STALE_WITNESS
  STALE_CHECKPOINT
  WITHHELD_TILES
  MALFORMED_CHECKPOINT
  FALSE_SIGNATURE
  FALSE_TILE
  ENTRY_MISMATCH
  MALFORMED_ENTRY
  BEHIND_END
  UNREGISTERED_STREAM
  STREAM_BREAK
  STREAM_FORK
  SEAL_MISMATCH
  SESSION_REPEAT
}

type Alarm {
  ledger: String!
  number: Count!
  kind: AlarmKind!
  code: String!
  message: String!
  """The entry that it is about."""
  index: Count
  stream: String
  seq: Count
  """As it was served."""
  evidence: [Evidence!]!
  firstSeen: String!
  lastSeen: String!
  """How often it was seen."""
  count: Count!
  """When what was wrong came right, and how; null while it stands."""
  resolved: Resolution
}

type Resolution { time: String!, note: String! }

type Evidence { label: String!, text: String! }

type AlarmConnection { edges: [AlarmEdge!]!, pageInfo: PageInfo! }
type AlarmEdge { cursor: String!, node: Alarm! }
`;
