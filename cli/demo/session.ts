/** A short agent session with the official MCP client: allowed calls, and one that the policy denies. */

import { type CallToolResult, Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

/** What came of one call, as the agent saw it. */
export interface CallReport {
  readonly tool: string;
  readonly denied: boolean;
  /** First line of the answer, cut to 100 characters, for the terminal of the person who runs it. */
  readonly answer: string;
}

/** The calls of one session, and how many tools the gateway offered. */
export interface SessionReport {
  readonly tools: number;
  readonly calls: readonly CallReport[];
}

const ANSWER_CHARACTERS = 100;
const ENTITY = "countersign-walk";

/** The calls in order; the fourth tries to delete what the third wrote, and the fifth shows that it is still there. */
const CALLS: readonly { readonly tool: string; readonly arguments: Readonly<Record<string, unknown>> }[] = [
  { tool: "everything__echo", arguments: { message: "hello through the gateway" } },
  { tool: "everything__get-sum", arguments: { a: 2, b: 40 } },
  {
    tool: "memory__create_entities",
    arguments: { entities: [{ name: ENTITY, entityType: "note", observations: ["kept by the memory server"] }] },
  },
  { tool: "memory__delete_entities", arguments: { entityNames: [ENTITY] } },
  { tool: "memory__open_nodes", arguments: { names: [ENTITY] } },
];

/**
 * Runs the session against the gateway's aggregated mount.
 *
 * @param url  `http://host:port/mcp`
 * @param token  the agent's bearer token
 */
export async function runSession(url: string, token: string): Promise<SessionReport> {
  const client = new Client({ name: "countersign-walk", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
  });
  await client.connect(transport);
  try {
    const { tools } = await client.listTools();
    const calls: CallReport[] = [];
    for (const call of CALLS) {
      const result = await client.callTool({ name: call.tool, arguments: { ...call.arguments } });
      calls.push(describe(call.tool, result));
    }
    return { tools: tools.length, calls };
  } finally {
    await transport.terminateSession();
    await client.close();
  }
}

function describe(tool: string, result: CallToolResult): CallReport {
  const first = result.content.find((block) => block.type === "text");
  const line = first?.type === "text" ? first.text.replace(/\s+/gu, " ").trim() : "(no text)";
  const answer = line.length > ANSWER_CHARACTERS ? `${line.slice(0, ANSWER_CHARACTERS - 1)}…` : line;
  return { tool, denied: result.isError === true, answer };
}
