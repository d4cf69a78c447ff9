/** The members of `_meta` that MCP 2026-07-28 defines, and those that hosts put there. */

/** Reserved keys under `io.modelcontextprotocol/`. */
export const META = {
  protocolVersion: "io.modelcontextprotocol/protocolVersion",
  clientCapabilities: "io.modelcontextprotocol/clientCapabilities",
  clientInfo: "io.modelcontextprotocol/clientInfo",
  serverInfo: "io.modelcontextprotocol/serverInfo",
  logLevel: "io.modelcontextprotocol/logLevel",
  subscriptionId: "io.modelcontextprotocol/subscriptionId",
  relatedTask: "io.modelcontextprotocol/related-task",
} as const;

/** The extension by which modern servers make tasks of calls. */
export const TASKS_EXTENSION = "io.modelcontextprotocol/tasks";

/** Keys in which a host names its conversation: the word of the host, no more. */
export const HOST_SESSION_KEYS = [
  "threadId",
  "vscode.conversationId",
  "sessionID",
  "antigravity.google/conversation_id",
] as const;

/** Of all keys that are ours. */
export const OUR_PREFIX = "countersign/";

/** Ours, in results that the gateway makes itself. */
export const OUR_META = {
  /** Also in `data` of the gateway's own errors. */
  reason: "countersign/reason",
  policies: "countersign/policies",
  receipt: "countersign/receipt",
  /** In requests: the chain of mandates (docs/formats/mandate.md), which no server gets. */
  mandates: "countersign/mandates",
  /** In requests: the workflow token (docs/formats/workflow-token.md), which no server gets. */
  workflow: "countersign/workflow-token",
} as const;
