import { buildClientSchema, buildSchema, getIntrospectionQuery, printSchema } from "graphql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SCHEMA } from "../../api/graphql/schema.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex, parseHex } from "../../kernel/hex.ts";
import { checkLogProof, parseLogProof } from "../../kernel/log-proof.ts";
import { checkConsistency } from "../../kernel/merkle/consistency-proof.ts";
import { hashLeaf, parseNodeHash, parseRootHash } from "../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { present } from "../../kernel/receipt/observed.ts";
import { parseWitnessPolicy } from "../../kernel/witness-policy.ts";
import { AuditedLog, registrationEntry } from "../support/audited-log.ts";
import { type AuditedNode, startNode } from "../support/audited-node.ts";
import { policyText } from "../support/log-keys.ts";
import { gatewayKeys, makeStream, type ReceiptContent, receiptContents } from "../support/receipts.ts";

const keys = gatewayKeys();
const contents = receiptContents(keys);
const { decision } = contents;
const { ruling } = decision;
const DENIED: ReceiptContent = {
  ...decision,
  wire: { ...decision.wire, mcp_name: present({ form: "name", name: "delete_entities" }) },
  server: present({
    id: "memory",
    identity: { state: "absent" },
    provenance: "unchecked",
    egress: { state: "absent" },
  }),
  request_sent: { state: "absent" },
  outcome: { state: "absent" },
  ruling: { ...ruling, action: "refuse", judgement: "deny", reasons: ["policy.forbid"], policies: ["no-deletes"] },
};

/** Calls of one stream, one of them denied, and a stream of another gateway that is not sealed. */
function makeLog(): AuditedLog {
  const open = makeStream({ keys, calls: 3, count: 10 });
  const denied = open.next(DENIED);
  const others = gatewayKeys(70);
  const other = makeStream({ keys: others, calls: 1, startMs: 1_700_000_050_000 });
  return new AuditedLog()
    .append(registrationEntry(keys), ...open.receipts.map(({ bytes }) => bytes), denied.bytes)
    .append(registrationEntry(others, "second gateway"), ...other.receipts.map(({ bytes }) => bytes))
    .publish();
}

const log = makeLog();
const stream = keys.instance.publicKey.kid;
let node: AuditedNode;

beforeAll(async () => {
  node = await startNode({ main: log, down: new AuditedLog() });
  await node.untilState("main", "FOLLOWING");
});
afterAll(() => node.remove());

describe("the schema", () => {
  it("is what introspection says it is", async () => {
    const { data, errors } = await node.ask(getIntrospectionQuery());
    expect(errors).toEqual([]);
    expect(printSchema(buildClientSchema(data))).toBe(printSchema(buildSchema(SCHEMA)));
  });
});

describe("receipts", () => {
  const indexes = async (filter: string, page = "first: 100"): Promise<readonly number[]> => {
    const { data, errors } = await node.ask(`{ receipts(${page}, filter: ${filter}) { edges { node { index } } } }`);
    expect(errors).toEqual([]);
    return data.receipts.edges.map((edge: { readonly node: { readonly index: number } }) => edge.node.index);
  };

  it("answers the question of the README: which calls were denied, and by which policy", async () => {
    const { data } = await node.ask(
      "{ receipts(first: 5, filter: {decision: DENY}) { edges { node { index kind time tool policies reasons } } } }",
    );
    expect(data.receipts.edges).toEqual([
      {
        node: {
          index: 12,
          kind: "DECISION",
          time: "2023-11-14T22:13:30.000Z",
          tool: "delete_entities",
          policies: ["no-deletes"],
          reasons: ["policy.forbid"],
        },
      },
    ]);
  });

  it("finds receipts by every filter, and by several at once", async () => {
    expect(await indexes("{kind: STREAM_OPEN}")).toEqual([2, 14]);
    expect(await indexes('{tool: "echo", kind: DECISION}')).toEqual([6, 8, 10, 18]);
    expect(await indexes('{server: "memory"}')).toEqual([12]);
    expect(await indexes(`{stream: "${stream}", kind: OUTCOME}`)).toEqual([7, 9, 11]);
    expect(await indexes("{decision: ALLOW}")).toEqual([6, 8, 10, 18]);
    expect(await indexes('{session: "01234567-89ab-cdef-0123-456789abcdef", kind: SESSION_SEAL}')).toEqual([20]);
    expect(await indexes(`{policy: "sha256:${"0".repeat(64)}"}`)).toEqual([]);
    expect(await indexes('{tool: "nothing"}')).toEqual([]);
  });

  it("finds receipts by time, within a minute and over days", async () => {
    expect(await indexes('{from: "2023-11-14T22:13:28.000Z", to: "2023-11-14T22:13:30.000Z"}')).toEqual([10, 11, 12]);
    expect(await indexes('{from: "2023-11-14T22:14:10.000Z"}')).toHaveLength(8);
    expect(await indexes('{from: "2020-01-01T00:00:00.000Z", to: "2030-01-01T00:00:00.000Z"}')).toHaveLength(19);
    expect(await indexes('{from: "2030-01-01T00:00:00.000Z", to: "2020-01-01T00:00:00.000Z"}')).toEqual([]);
  });

  it("pages forward and backward to the same whole, without and with a filter", async () => {
    for (const filter of ["{}", "{kind: DECISION}"]) {
      const all = await indexes(filter);
      expect(await walk("first", "after", "endCursor", filter)).toEqual(all);
      expect((await walk("last", "before", "startCursor", filter)).toSorted((a, b) => a - b)).toEqual(all);
    }
  });

  async function walk(size: string, place: string, end: string, filter: string): Promise<readonly number[]> {
    const seen: number[] = [];
    let cursor: string | undefined;
    for (;;) {
      const at = cursor === undefined ? "" : `, ${place}: "${cursor}"`;
      const { data } = await node.ask(
        `{ receipts(${size}: 2${at}, filter: ${filter}) { edges { node { index } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`,
      );
      const { edges, pageInfo } = data.receipts;
      seen.push(...edges.map((edge: { readonly node: { readonly index: number } }) => edge.node.index));
      if (!(size === "first" ? pageInfo.hasNextPage : pageInfo.hasPreviousPage)) return seen;
      cursor = pageInfo[end];
    }
  }

  it("counts where one look-up does it, and says null where not", async () => {
    const count = async (filter: string): Promise<unknown> =>
      (await node.ask(`{ receipts(filter: ${filter}) { totalCount } }`)).data.receipts.totalCount;
    expect(await count("{}")).toBe(19);
    expect(await count("{kind: DECISION}")).toBe(5);
    expect(await count('{kind: DECISION, tool: "echo"}')).toBe(null);
  });

  it("gives one receipt by index, leaf hash or place, with its exact entry and honest checks", async () => {
    const entry = log.entries[12] ?? new Uint8Array();
    const leaf = formatHex(hashLeaf(entry));
    const fields =
      "{ index seq leafHash entry checks { inclusion { verdict } signature { verdict } continuity { verdict } issuer { verdict } } }";
    const { data } = await node.ask(
      `{ a: receipt(index: 12) ${fields} b: receipt(leafHash: "${leaf}") ${fields} c: receipt(stream: "${stream}", seq: 10) ${fields} }`,
    );
    expect(data.a).toEqual(data.b);
    expect(data.a).toEqual(data.c);
    expect(formatUtf8(data.a.entry)).toEqual(new Uint8Array(entry));
    expect(data.a.checks).toEqual({
      inclusion: { verdict: "PASS" },
      signature: { verdict: "PASS" },
      continuity: { verdict: "PASS" },
      issuer: { verdict: "NOT_ESTABLISHED" },
    });
    expect((await node.ask("{ receipt(index: 0) { index } }")).data.receipt).toBe(null);
  });
});

describe("proofs", () => {
  it("include every entry under the witnessed root, at every size", async () => {
    for (const size of [1, 2, 13, log.entries.length]) {
      for (let index = 0; index < size; index += 3) {
        const { data } = await node.ask(
          `{ inclusionProof(index: ${index}, size: ${size}) { leafHash hashes root witnessed } }`,
        );
        const { leafHash, hashes, root, witnessed } = data.inclusionProof;
        const leaf = hashLeaf(log.entries[index] ?? new Uint8Array());
        expect(leafHash).toBe(formatHex(leaf));
        const proof = hashes.map((hash: string) => parseNodeHash(parseHex(hash, 32)));
        const claim = { leaf, index: BigInt(index), size: BigInt(size), proof };
        checkInclusion({ ...claim, root: parseRootHash(parseHex(root, 32)) });
        expect(witnessed).toBe(size === log.entries.length);
      }
    }
  });

  it("connect two sizes", async () => {
    const { data } = await node.ask("{ consistencyProof(from: 5) { from fromRoot to toRoot hashes } }");
    const { from, fromRoot, to, toRoot, hashes } = data.consistencyProof;
    checkConsistency({
      oldSize: BigInt(from),
      oldRoot: parseRootHash(parseHex(fromRoot, 32)),
      size: BigInt(to),
      root: parseRootHash(parseHex(toRoot, 32)),
      proof: hashes.map((hash: string) => parseNodeHash(parseHex(hash, 32))),
    });
  });

  it("come as log proofs that a stranger checks with his own keys", async () => {
    const { data } = await node.ask("{ logProof(index: 12) { text } }");
    const policy = parseWitnessPolicy(policyText(3));
    const entry = log.entries[12] ?? new Uint8Array();
    const { checkpoint } = checkLogProof({ proof: parseLogProof(data.logProof.text), entry, policy });
    expect(checkpoint.size).toBe(BigInt(log.entries.length));
  });
});

describe("streams, sessions, registrations, ledgers", () => {
  it("show a stream with what it declared and its unsealed session", async () => {
    const { data, errors } =
      await node.ask(`{ stream(id: "${stream}") { nextSeq receipts faults closed homeLog keyProtection
      heartbeatSeconds silentSeconds gaps { from to } registration { index label evidence receiptKey { alg } }
      unsealedSessions { id state calls { total allowed denied faulted open } seal { reason } sealCounts } } }`);
    expect(errors).toEqual([]);
    expect(data.stream).toEqual({
      nextSeq: 11,
      receipts: 11,
      faults: 0,
      closed: false,
      homeLog: "log.example/test",
      keyProtection: "software",
      heartbeatSeconds: 60,
      silentSeconds: 90,
      gaps: [],
      registration: { index: 1, label: "test gateway", evidence: "software", receiptKey: { alg: "ed25519" } },
      unsealedSessions: [
        {
          id: "01234567-89ab-cdef-0123-456789abcdef",
          state: "OPEN",
          calls: { total: 4, allowed: 3, denied: 1, faulted: 0, open: 0 },
          seal: null,
          sealCounts: "NOT_ESTABLISHED",
        },
      ],
    });
  });

  it("show sessions with their own receipts, and whether the seal tells the truth", async () => {
    const { data } = await node.ask(
      "{ sessions(first: 5) { edges { node { stream state sealCounts seal { calls { total } } receipts(first: 2) { edges { node { kind } } } } } } }",
    );
    expect(data.sessions.edges).toHaveLength(2);
    expect(data.sessions.edges[1].node).toMatchObject({
      state: "SEALED",
      sealCounts: "PASS",
      seal: { calls: { total: 1 } },
      receipts: { edges: [{ node: { kind: "SESSION_OPEN" } }, { node: { kind: "DECISION" } }] },
    });
    const { data: one } = await node.ask('{ session(id: "01234567-89ab-cdef-0123-456789abcdef") { openIndex } }');
    expect([5, 17]).toContain(one.session.openIndex);
  });

  it("show ledgers with their witnesses, also one that does not answer", async () => {
    await node.untilState("down", "UNREACHABLE");
    const { data } = await node.ask(`{ node { version limits { maxPage } } registrations { edges { node { label } } }
      checkpoint { size origin cosignatures { witness } }
      ledgers { name state kind indexed receipts alarms quorum witnesses { name lastSize } checkpoint { size } } }`);
    expect(data.node).toEqual({ version: "0.0.0-test", limits: { maxPage: 100 } });
    expect(data.registrations.edges).toHaveLength(2);
    expect(data.checkpoint).toMatchObject({ size: 22, cosignatures: [{}, {}, {}] });
    expect(data.ledgers).toMatchObject([
      {
        name: "main",
        state: "FOLLOWING",
        kind: "RECEIPTS",
        indexed: 22,
        receipts: 19,
        alarms: 0,
        checkpoint: { size: 22 },
      },
      { name: "down", state: "UNREACHABLE", kind: "UNKNOWN", indexed: 0, checkpoint: null },
    ]);
  });
});

describe("what GraphQL refuses", () => {
  const codes = async (query: string): Promise<readonly (string | undefined)[]> =>
    (await node.ask(query)).errors.map(({ code }) => code);

  it("has a code for syntax, unknown fields and wrong arguments", async () => {
    expect(await codes("{ receipts(")).toEqual(["ERR_GRAPHQL_SYNTAX"]);
    expect(await codes("{ secrets }")).toEqual(["ERR_GRAPHQL_VALIDATION"]);
    expect(await codes("{ receipts(first: true) { totalCount } }")).toEqual(["ERR_GRAPHQL_VALIDATION"]);
    expect(await codes("query ($n: Int!) { receipts(first: $n) { totalCount } }")).toEqual(["ERR_GRAPHQL_VALIDATION"]);
  });

  it.each([
    ['{ checkpoint(ledger: "none") { size } }', "ERR_NOT_FOUND"],
    ["{ receipt { index } }", "ERR_REQUEST"],
    ['{ receipt(index: 1, leafHash: "aa") { index } }', "ERR_REQUEST"],
    ["{ receipt(index: -1) { index } }", "ERR_REQUEST"],
    ["{ receipt(index: 1.5) { index } }", "ERR_REQUEST"],
    ['{ receipt(leafHash: "zz") { index } }', "ERR_HEX"],
    ["{ inclusionProof(index: 22) { root } }", "ERR_INDEX_RANGE"],
    ["{ inclusionProof(index: 1, size: 23) { root } }", "ERR_SIZE_RANGE"],
    ["{ consistencyProof(from: 0) { toRoot } }", "ERR_SIZE_RANGE"],
    ['{ logProof(ledger: "down", index: 0) { text } }', "ERR_NOT_PUBLISHED"],
    ['{ receipts(after: "bm8=") { totalCount } }', "ERR_CURSOR"],
    ['{ receipts(after: "n:1") { totalCount } }', "ERR_CURSOR"],
    ["{ receipts(first: 1, last: 1) { totalCount } }", "ERR_REQUEST"],
    ["{ receipts(first: -1) { totalCount } }", "ERR_REQUEST"],
    ["{ receipts(first: 101) { totalCount } }", "ERR_GRAPHQL_LIMIT"],
    ['{ receipts(filter: {from: "yesterday"}) { totalCount } }', "ERR_TIMESTAMP"],
    ['{ receipts(filter: {tool: "a\\u0000b"}) { totalCount } }', "ERR_REQUEST"],
    ['{ stream(id: "x") { id } }', "ERR_HEX"],
  ])("%s is answered %s", async (query, code) => {
    expect(await codes(query)).toEqual([code]);
  });

  it("bounds depth, aliases, cost, tokens and cycles of fragments", async () => {
    const nested = (levels: number): string =>
      levels === 0 ? "totalCount" : `edges { node { ... on Receipt { index } } } pageInfo { endCursor }`;
    expect(await codes(`{ receipts { ${nested(1)} } }`)).toEqual([]);
    const deep = `{ node { ledgers { ${"checkpoint { cosignatures { ".repeat(1)} witness } } } } }`;
    expect(await codes(deep)).toEqual([]);
    const aliases = Array.from({ length: 21 }, (_, i) => `a${i}: __typename`).join(" ");
    expect(await codes(`{ ${aliases} }`)).toEqual(["ERR_GRAPHQL_LIMIT"]);
    const page = "sessions(first: 100) { edges { node { receipts(first: 100) { edges { node { index } } } } } }";
    expect(await codes(`{ ${page} }`)).toEqual(["ERR_GRAPHQL_LIMIT"]);
    const spreads =
      "query ($n: Int) { sessions(first: $n) { edges { node { receipts(last: $n) { edges { node { index } } } } } } }";
    expect(await codes(spreads)).toEqual(["ERR_GRAPHQL_LIMIT"]);
    expect(await codes(`{ ${"__typename ".repeat(2001)} }`)).toEqual(["ERR_GRAPHQL_SYNTAX"]);
    const cycle = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
    expect(await codes(cycle)).toContain("ERR_GRAPHQL_VALIDATION");
    const doubling = Array.from({ length: 30 }, (_, i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`).join(
      " ",
    );
    expect(await codes(`{ ...F0 } ${doubling} fragment F30 on Query { __typename }`)).toContain("ERR_GRAPHQL_LIMIT");
  });

  it("bounds depth", async () => {
    const shallow = await startNode({ main: log }, { limits: { max_depth: 4 } });
    try {
      const { errors } = await shallow.ask("{ node { ledgers { checkpoint { cosignatures { witness } } } } }");
      expect(errors.map(({ code }) => code)).toEqual(["ERR_GRAPHQL_LIMIT"]);
    } finally {
      await shallow.remove();
    }
  });
});
