import { describe, expect, it } from "vitest";
import { formatUtf8, parseUtf8 } from "../../kernel/bytes.ts";
import { isSameKey } from "../../kernel/lifecycle/statement.ts";
import { rowOf, StatementBook } from "../../ledger/lifecycle/statement-book.ts";
import type { Sql, SqlRow } from "../../ledger/postgres-s3/database.ts";
import { StatementSync } from "../../ledger/postgres-s3/statement-sync.ts";
import type { IndexRow } from "../../ledger/sequence/index-store.ts";
import {
  closingBody,
  genesisBytes,
  pairOf,
  retirementBody,
  rotationBody,
  StatedLog,
} from "../support/log-statements.ts";

/** Rows of a database, and a node's book that is kept at them. */
class Node {
  readonly rows = new Map<string, Uint8Array>();
  readonly book = new StatementBook();
  changes = 0;
  /** Runs between a question to the database and its answer. */
  meanwhile: () => Promise<void> = () => Promise.resolve();
  readonly sql: Sql = {
    query: async (_text, values = []) => {
      const [from, to] = [values[1], values[2]].map((name) => parseUtf8(name as Uint8Array));
      const found = [...this.rows].filter(([key]) => key >= (from ?? "") && key < (to ?? "")).toSorted();
      const answer = found.map(([key, value]): SqlRow => ({ name: formatUtf8(key), value }));
      await this.meanwhile();
      return answer;
    },
  };
  readonly sync = new StatementSync({
    sql: this.sql,
    log: 1n,
    book: this.book,
    onChange: () => {
      this.changes += 1;
    },
  });

  commit(index: number, bytes: Uint8Array): IndexRow {
    const row = rowOf(BigInt(index), bytes);
    this.rows.set(row.key, row.value);
    return row;
  }

  /** Decides about a statement in a turn, which is not over. */
  decide(index: number, bytes: Uint8Array): void {
    this.sync.noteDecided(this.book.replay(bytes, BigInt(index)));
  }

  /** The pairs that sign at a size. */
  signersAt(size: number): readonly number[] {
    const keys = this.sync.signersAt(BigInt(size));
    return [0, 1, 2].filter((n) =>
      pairOf(n).every(({ verifierKey }) => keys.some((key) => isSameKey(key, verifierKey))),
    );
  }
}

const LOG = new StatedLog()
  .fill(2)
  .declare((index) => rotationBody(index, 0, 1))
  .declare((index) => retirementBody(index));
const [ROTATION, RETIREMENT] = LOG.statements.map(({ bytes }) => bytes) as [Uint8Array, Uint8Array];
const CLOSING = new StatedLog().fill(2).sign(closingBody(3));

async function newNode(): Promise<Node> {
  const node = new Node();
  node.commit(0, genesisBytes);
  await node.sync.refresh();
  return node;
}

it("signs each size with the keys that the log has there, whoever rotated them", async () => {
  const node = await newNode();
  expect(node.signersAt(9)).toEqual([0]);
  node.commit(3, ROTATION);
  await node.sync.refresh();
  expect([3, 4, 9].map((size) => node.signersAt(size))).toEqual([[0], [0, 1], [0, 1]]);
  await node.sync.takeOver(node.sql, [node.commit(4, RETIREMENT)]);
  expect([3, 4, 5].map((size) => node.signersAt(size))).toEqual([[0], [0, 1], [1]]);
  const { changes } = node;
  await node.sync.refresh();
  expect(node.changes).toBe(changes);
});

it("forgets what a turn decided that failed, by the next turn and without one", async () => {
  for (const again of [(node: Node) => node.sync.refresh(), (node: Node) => node.sync.takeOver(node.sql, [])]) {
    const node = await newNode();
    node.decide(3, ROTATION);
    node.sync.fail();
    await again(node);
    expect(node.signersAt(4)).toEqual([0]);
    expect(node.book.statements).toEqual([]);
  }
});

it("keeps what turned out to be durable although its answer was lost", async () => {
  const node = await newNode();
  node.decide(3, ROTATION);
  node.commit(3, ROTATION);
  node.sync.fail();
  await node.sync.refresh();
  expect(node.signersAt(4)).toEqual([0, 1]);
});

it("decides a repeated transaction on what was durable before its first attempt", async () => {
  const node = await newNode();
  node.decide(3, ROTATION);
  await node.sync.takeOver(node.sql, []);
  expect(node.book.statements).toEqual([]);
  node.decide(3, ROTATION);
  node.sync.settle();
  await node.sync.refresh();
  expect(node.book.statements).toHaveLength(1);
});

it("drops an answer of before a turn that went on from there", async () => {
  const node = await newNode();
  node.decide(3, ROTATION);
  node.sync.fail();
  node.meanwhile = async () => {
    node.meanwhile = () => Promise.resolve();
    await node.sync.takeOver(node.sql, []);
    node.decide(3, ROTATION);
  };
  await node.sync.refresh();
  expect(node.book.statements).toHaveLength(1);
  node.sync.settle();
  expect(node.signersAt(4)).toEqual([0, 1]);
});

describe("a turn whose commit hangs", () => {
  it("chooses no signer until it is settled, by its answer or by its row", async () => {
    const byAnswer = (node: Node): Promise<void> => Promise.resolve(node.sync.settle());
    const byRow = async (node: Node): Promise<void> => {
      node.commit(3, ROTATION);
      await node.sync.refresh();
    };
    for (const end of [byAnswer, byRow]) {
      const node = await newNode();
      node.decide(3, ROTATION);
      await node.sync.refresh();
      expect(node.signersAt(4)).toEqual([0]);
      expect(node.sync.settled.statements).toEqual([]);
      await end(node);
      expect(node.signersAt(4)).toEqual([0, 1]);
      expect(node.sync.settled.statements).toHaveLength(1);
    }
  });

  it("leaves the older pair at work where another entry got the place of its retirement", async () => {
    const node = await newNode();
    node.commit(3, ROTATION);
    await node.sync.refresh();
    node.decide(4, RETIREMENT);
    await node.sync.refresh();
    expect(node.signersAt(5)).toEqual([0, 1]);
    node.sync.fail();
    await node.sync.refresh();
    expect(node.signersAt(5)).toEqual([0, 1]);
  });

  it("gives way to a statement of another node in its place, and is told so", async () => {
    const node = await newNode();
    node.decide(3, CLOSING);
    node.commit(3, ROTATION);
    const { changes } = node;
    await node.sync.refresh();
    expect(node.signersAt(4)).toEqual([0, 1]);
    expect(node.changes).toBe(changes + 1);
    await node.sync.takeOver(node.sql, []);
    expect(node.book.state.closing).toBeUndefined();
    expect(node.book.statements).toEqual(node.sync.settled.statements);
  });

  it("misses nothing that was said behind it before its answer came", async () => {
    const node = await newNode();
    node.decide(3, ROTATION);
    node.commit(3, ROTATION);
    node.commit(4, RETIREMENT);
    await node.sync.refresh();
    node.sync.settle();
    expect(node.book.statements).toHaveLength(2);
    expect(node.signersAt(5)).toEqual([1]);
  });
});

it("finds in its first turn what was said between its start and the turn that it counts from", async () => {
  const node = await newNode();
  node.commit(3, ROTATION);
  await node.sync.takeOver(node.sql, []);
  expect(node.book.statements).toHaveLength(1);
  expect(node.signersAt(4)).toEqual([0, 1]);
});
