/** What the members of one receipt must say together: combinations that can neither be signed nor read. */

import { describe, expect, it } from "vitest";
import { ABSENT, notEstablished, PENDING, present } from "../../kernel/receipt/observed.ts";
import { type ReceiptBody, type ReceiptKind, signReceipt } from "../../kernel/receipt/receipt.ts";
import type { Ruling } from "../../kernel/receipt/ruling.ts";
import {
  ACTIONS,
  type Action,
  EFFECTS,
  JUDGEMENTS,
  type Judgement,
  MODES,
  type Mode,
  STATUSES,
} from "../../kernel/receipt/vocabulary.ts";
import { parseTimestamp } from "../../kernel/time.ts";
import { codeOf } from "../support/code-of.ts";
import { digestOf, gatewayKeys, hex64, receiptBodies } from "../support/receipts.ts";

const keys = gatewayKeys();
const bodies = receiptBodies();
const { decision, outcome, drift } = bodies;

/** ERR_SHAPE or accepted: what signing does with a body. */
function verdict(body: ReceiptBody): string {
  return codeOf(() => signReceipt(body, body.seq === 0 ? [keys.instance, keys.receipt] : [keys.receipt]));
}

const refused = (body: ReceiptBody): void => expect(verdict(body)).toBe("ERR_SHAPE");
const accepted = (body: ReceiptBody): void => expect(verdict(body)).toBe("accepted");

describe("the approval of a decision", () => {
  it("says how people were told in sorted words, each once, or does not say", () => {
    const base = { id: "a".repeat(32), evidence: "authenticated", approver: ABSENT, binding: hex64(7) } as const;
    accepted({ ...decision, approval: present(base) });
    accepted({ ...decision, approval: present({ ...base, notified: ["error", "url-elicitation", "webhook"] }) });
    for (const notified of [[], ["webhook", "error"], ["error", "error"]] as const) {
      refused({ ...decision, approval: present({ ...base, notified }) });
    }
  });
});

describe("an operator's action", () => {
  const action = bodies["operator-action"];
  const approval = { type: "approval", id: "a".repeat(32), binding: hex64(7) } as const;
  it("has evidence exactly if somebody acted", () => {
    accepted({ ...action, by: ABSENT, evidence: ABSENT });
    refused({ ...action, by: ABSENT });
    refused({ ...action, evidence: ABSENT });
  });

  it("about an approval has one as its target, and no other has", () => {
    for (const word of ["approval-granted", "approval-refused", "approval-expired"] as const) {
      accepted({ ...action, action: word, target: approval });
      refused({ ...action, action: word });
    }
    refused({ ...action, target: approval });
  });

  it("about a disclosure or an erasure names receipts before it, in ranges that stand apart", () => {
    const { stream, seq } = action;
    const file = `sha256:${hex64(8)}` as const;
    const receipts = [
      { first: 1, last: 2 },
      { first: 4, last: 4 },
    ];
    const disclosure = { type: "disclosure", tier: 2, file, stream, receipts } as const;
    const erasure = { type: "erasure", scope: "session", stream, receipts } as const;
    for (const [word, target, other] of [
      ["disclosed", disclosure, erasure],
      ["erased", erasure, disclosure],
    ] as const) {
      accepted({ ...action, action: word, target });
      refused({ ...action, action: word, target: other });
      refused({ ...action, action: word });
      refused({ ...action, target });
      accepted({
        ...action,
        action: word,
        target: { ...target, stream: hex64(9), receipts: [{ first: 0, last: 10_000 }] },
      });
      for (const wrong of [
        [],
        [{ first: 2, last: 1 }],
        [{ first: 1, last: seq }],
        [receipts[1], receipts[0]],
        [
          { first: 1, last: 2 },
          { first: 3, last: 4 },
        ],
      ]) {
        refused({ ...action, action: word, target: { ...target, receipts: wrong.flatMap((range) => range ?? []) } });
      }
    }
  });

  it("takes every target of the closed list, and a cause that lies before it", () => {
    for (const target of [
      { type: "all" },
      { type: "principal", id: hex64(1) },
      { type: "session", key: hex64(2) },
      { type: "server", server: "everything" },
    ] as const) {
      accepted({ ...action, target });
    }
    accepted({ ...action, cause: ABSENT });
    refused({ ...action, cause: present(action.seq) });
  });
});

describe("place in the stream", () => {
  it("is seq 0 without prev in a stream-open receipt, and in no other", () => {
    const kinds = Object.keys(bodies) as readonly ReceiptKind[];
    for (const kind of kinds) {
      const { prev: _, ...first } = { ...bodies[kind], seq: 0 };
      const later = { ...bodies[kind], seq: 12, prev: hex64(1) };
      const isOpen = kind === "stream-open";
      expect(verdict(first as ReceiptBody), kind).toBe(isOpen ? "accepted" : "ERR_SHAPE");
      const close = kind === "stream-close" ? { receipts: 13 } : {};
      expect(verdict({ ...later, ...close } as ReceiptBody), kind).toBe(isOpen ? "ERR_SHAPE" : "accepted");
    }
    refused({ ...bodies["stream-open"], prev: hex64(1) });
    const { prev: _, ...lost } = bodies.heartbeat;
    refused(lost);
  });

  it("of a stream is not that of its own predecessor", () => {
    const open = bodies["stream-open"];
    accepted({ ...open, predecessor: { stream: hex64(1), reason: "rotation" } });
    refused({ ...open, predecessor: { stream: open.stream, reason: "rotation" } });
  });

  it("closes with the count of all receipts", () => {
    const close = bodies["stream-close"];
    for (const receipts of [12, 14, 0]) refused({ ...close, receipts });
  });
});

/** What must hold between mode, action and judgement, written down once more and in another way. */
function expectRuling(mode: Mode, action: Action, judgement: Judgement): "would deny" | "plain" | "impossible" {
  if (action === "forward") return judgement === "allow" ? "plain" : mode === "enforcing" ? "impossible" : "would deny";
  if (action === "refuse") return judgement === "allow" ? "impossible" : "plain";
  if (action === "hold") return judgement === "hold" ? "plain" : "impossible";
  return "plain";
}

describe("a ruling", () => {
  it("follows from mode, action and judgement, in all 36 combinations", () => {
    let combinations = 0;
    for (const mode of MODES) {
      for (const action of ACTIONS) {
        for (const judgement of JUDGEMENTS) {
          combinations += 1;
          const want = expectRuling(mode, action, judgement);
          for (const wouldDeny of [true, false]) {
            const ruling: Ruling = { ...decision.ruling, mode, action, judgement, would_deny: wouldDeny };
            const isSent = action === "forward";
            const body: ReceiptBody = {
              ...decision,
              ruling,
              request_sent: isSent ? decision.request_sent : ABSENT,
              outcome: isSent || action === "phantom" ? PENDING : { state: "absent" },
            };
            const isRight = want !== "impossible" && wouldDeny === (want === "would deny");
            expect(verdict(body), `${mode} ${action} ${judgement} ${wouldDeny}`).toBe(
              isRight ? "accepted" : "ERR_SHAPE",
            );
          }
        }
      }
    }
    expect(combinations).toBe(36);
  });

  it("gives at least one reason", () => {
    refused({ ...decision, ruling: { ...decision.ruling, reasons: [] } });
  });
});

describe("a decision", () => {
  const refusal: Ruling = { ...decision.ruling, action: "refuse", judgement: "deny", reasons: ["policy.forbid"] };

  it("awaits an outcome exactly if the call goes out or is answered as a phantom", () => {
    refused({ ...decision, outcome: { state: "absent" } });
    accepted({ ...decision, ruling: refusal, outcome: { state: "absent" }, request_sent: ABSENT });
    refused({ ...decision, ruling: refusal, request_sent: ABSENT });
    const phantom: Ruling = { ...decision.ruling, action: "phantom" };
    accepted({ ...decision, ruling: phantom, request_sent: ABSENT });
    refused({ ...decision, ruling: phantom, request_sent: ABSENT, outcome: { state: "absent" } });
  });

  it("has sent nothing unless it forwards", () => {
    refused({ ...decision, ruling: refusal, outcome: { state: "absent" } });
    refused({ ...decision, ruling: { ...decision.ruling, action: "phantom" } });
  });

  it("refers to earlier receipts only", () => {
    const seq = decision.seq;
    const { call } = decision;
    for (const later of [seq, seq + 1]) {
      refused({ ...decision, call: { ...call, first_round: present(later) } });
      refused({ ...decision, call: { ...call, retry_of: present(later) } });
      refused({ ...decision, concurrent_with: [1, later] });
    }
    accepted({ ...decision, call: { ...call, first_round: present(seq - 1), retry_of: present(0) } });
    accepted({ ...decision, concurrent_with: [0, seq - 1] });
    for (const unsorted of [
      [2, 1],
      [1, 1],
    ]) {
      refused({ ...decision, concurrent_with: unsorted });
    }
  });

  it("keeps its accounts: budget = consumed + reserved + remaining", () => {
    const line = { limit: "rounds-per-call", charge: "charged", budget: 9, consumed: 4, reserved: 2 } as const;
    accepted({ ...decision, accounting: present({ ...line, remaining: 3 }) });
    for (const remaining of [2, 4]) refused({ ...decision, accounting: present({ ...line, remaining }) });
  });

  it("says in every field what it is, and never leaves one out", () => {
    for (const state of [ABSENT, PENDING, notEstablished("field.not-collected")]) {
      accepted({ ...decision, principal: state, catalog: state, approval: state });
    }
    refused({ ...decision, outcome: notEstablished("field.not-collected") } as unknown as ReceiptBody);
    refused({ ...decision, principal: { state: "unknown" } } as unknown as ReceiptBody);
    refused({ ...decision, principal: null } as unknown as ReceiptBody);
    refused({ ...decision, attestation: { state: "absent" } } as unknown as ReceiptBody);
  });
});

describe("an outcome", () => {
  it("follows its decision, and settles an earlier outcome only", () => {
    const { call } = outcome;
    for (const later of [outcome.seq, outcome.seq + 1]) {
      refused({ ...outcome, call: { ...call, decision_seq: later } });
      refused({ ...outcome, call: { ...call, resolves: present(later) } });
    }
    accepted({ ...outcome, call: { ...call, decision_seq: outcome.seq - 1 } });
  });

  it("says `none` only where nothing may have been sent, and `unknown` where nobody knows", () => {
    const possible: Record<string, readonly string[]> = {
      cancelled: ["done", "none", "unknown"],
      timeout: ["done", "none", "unknown"],
      upstream_error: ["done", "none", "unknown"],
      phantom: ["none"],
      unknown: ["unknown"],
      task_created: ["unknown"],
    };
    for (const status of STATUSES) {
      const fits = EFFECTS.filter((effect) => {
        return verdict({ ...outcome, outcome: { status, effect, rpc_code: ABSENT } }) === "accepted";
      });
      expect(fits, status).toEqual(possible[status] ?? ["done", "unknown"]);
    }
  });

  it("has matches and edges of earlier receipts, and labels that may be its own", () => {
    const match = { pointer: "/params", kind: "exact", count: 1 } as const;
    const edge = { kind: "order", from: "a", to: "b" } as const;
    for (const body of [decision, outcome]) {
      const { seq } = body;
      accepted({ ...body, matches: present({ items: [{ ...match, source: seq - 1 }], bounded: false }) });
      refused({ ...body, matches: present({ items: [{ ...match, source: seq }], bounded: false }) });
      accepted({ ...body, edges: present([{ ...edge, source: seq - 1 }]) });
      refused({ ...body, edges: present([{ ...edge, source: seq }]) });
      const taint = (source: number): ReceiptBody => ({
        ...body,
        taint: present({ before: [], after: ["a"], sources: [{ label: "a", seq: source }] }),
      });
      accepted(taint(seq));
      refused(taint(seq + 1));
    }
  });
});

describe("a session seal", () => {
  it("counts calls that add up, of a session that was opened before", () => {
    const seal = bodies["session-seal"];
    const calls = { total: 5, allowed: 3, denied: 2, faulted: 1, open: 2 };
    accepted({ ...seal, calls });
    refused({ ...seal, calls: { ...calls, total: 6 } });
    refused({ ...seal, calls: { ...calls, faulted: 2 } });
    refused({ ...seal, first_seq: seal.seq });
  });
});

describe("loads", () => {
  it("give reasons exactly if they were refused", () => {
    for (const load of [bodies["policy-load"], bodies["catalog-load"]]) {
      refused({ ...load, reasons: ["policy.invalid"] });
      refused({ ...load, result: "refused" });
      accepted({ ...load, result: "refused", reasons: ["policy.invalid"] });
    }
  });

  it("list files and servers once each, in order", () => {
    const load = bodies["policy-load"];
    const file = (path: string): { readonly path: string; readonly digest: string } => ({ path, digest: digestOf(1) });
    accepted({ ...load, files: [file("a.cedar"), file("b/c.cedar"), file("policy.json")] });
    refused({ ...load, files: [file("b.cedar"), file("a.cedar")] });
    refused({ ...load, files: [file("a.cedar"), file("a.cedar")] });
    for (const path of ["/a", "../a", "a/../b", "a//b", ".hidden", "a/", "a\\b", "ä.cedar"]) {
      refused({ ...load, files: [file(path)] });
    }
    const catalog = bodies["catalog-load"];
    const server = catalog.servers[0];
    if (server === undefined) throw new Error("no server");
    accepted({ ...catalog, servers: [server, { ...server, id: "memory" }] });
    refused({ ...catalog, servers: [{ ...server, id: "memory" }, server] });
    refused({ ...catalog, servers: [server, server] });
  });
});

describe("a drift", () => {
  it("has nothing before an addition and nothing after a removal", () => {
    const item = drift.items[0];
    if (item === undefined) throw new Error("no item");
    refused({ ...drift, items: [{ ...item, change: "added" }] });
    refused({ ...drift, items: [{ ...item, change: "removed" }] });
    accepted({ ...drift, items: [{ ...item, change: "added", before: ABSENT }] });
    accepted({ ...drift, items: [{ ...item, change: "removed", after: ABSENT }] });
    refused({ ...drift, items: Array.from({ length: 65 }, () => item) });
  });
});

describe("refusals", () => {
  it("are at least one, in a time that does not run backwards", () => {
    refused({ ...bodies.refusals, count: 0 });
    refused({ ...bodies.refusals, from: parseTimestamp("2030-01-01T00:00:00.000Z") });
    accepted({ ...bodies.refusals, from: bodies.refusals.to });
  });
});
