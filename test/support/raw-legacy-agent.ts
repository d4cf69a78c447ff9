/** A legacy agent over HTTP whose messages the test writes itself, to their last byte. */

import { ALICE, type TestGateway } from "./mcp-gateway.ts";

/** One agent; it has a session from the first answer on that names one. */
export class RawLegacyAgent {
  readonly #url: string;
  #session: string | undefined;

  constructor({ url }: Pick<TestGateway, "url">) {
    this.#url = `${url}/mcp`;
  }

  /** @param body  JSON text of a message */
  async post(body: string): Promise<Response> {
    const session: Record<string, string> = this.#session === undefined ? {} : { "mcp-session-id": this.#session };
    const response = await fetch(this.#url, {
      method: "POST",
      headers: {
        authorization: `Bearer ${ALICE}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...session,
      },
      body,
    });
    this.#session ??= response.headers.get("mcp-session-id") ?? undefined;
    return response;
  }

  /** Opens the session. @param capabilities  JSON text of what the agent declares */
  async shakeHands(capabilities: string): Promise<Response> {
    const info = '"clientInfo":{"name":"agent","version":"1"}';
    const params = `{"protocolVersion":"2025-11-25",${info},"capabilities":${capabilities}}`;
    return this.post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":${params}}`);
  }
}
