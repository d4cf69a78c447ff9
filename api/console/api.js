/** Asks the node. The reader's token, if one is needed, lives in this tab's session storage. */

const TOKEN = "countersign-reader-token";

/** An answer with an error of the node; `code` is one of docs/errors.md. */
export class NodeError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Keeps the token for the requests of this tab. */
export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** Runs a query. @throws {NodeError} */
export async function ask(query, variables = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const answer = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  }).catch(() => {
    throw new NodeError("ERR_NODE", "the node does not answer");
  });
  const body = await answer.json().catch(() => ({}));
  const [error] = body.errors ?? [];
  if (error !== undefined) throw new NodeError(error.extensions?.code ?? "ERR_BUG", error.message);
  if (!answer.ok) throw new NodeError("ERR_NODE", `the node answered ${answer.status}`);
  return body.data;
}
