/** How an answer of a modern server is rewritten for the call of a modern agent over HTTP. */
export const MODERN_REWRITE = {
  idText: "1",
  method: "tools/call",
  agentEra: "modern",
  serverEra: "modern",
  isLine: false,
} as const;
