/** The life of an approval: one function from state and event to the next state, and no other way. */

/** Where an approval stands. The last four are ends. */
export const APPROVAL_STATES = ["requested", "granted", "refused", "consumed", "expired", "mismatched"] as const;
export type ApprovalState = (typeof APPROVAL_STATES)[number];

/** What happens to an approval. */
export type ApprovalEvent = "grant" | "refuse" | "consume" | "expire" | "mismatch" | "revoke";

const NEXT: Readonly<Record<ApprovalState, Partial<Record<ApprovalEvent, ApprovalState>>>> = {
  requested: { grant: "granted", refuse: "refused", expire: "expired", revoke: "refused" },
  granted: { consume: "consumed", expire: "expired", mismatch: "mismatched", revoke: "refused" },
  refused: {},
  consumed: {},
  expired: {},
  mismatched: {},
};

/** The state behind an event; undefined if the event cannot happen in this state. */
export function next(state: ApprovalState, event: ApprovalEvent): ApprovalState | undefined {
  return NEXT[state][event];
}

/** True if something can still happen to it. */
export function isOpen(state: ApprovalState): boolean {
  return state === "requested" || state === "granted";
}
