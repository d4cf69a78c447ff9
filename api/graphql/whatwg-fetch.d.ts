/**
 * Types of `@whatwg-node/fetch`, as graphql-yoga's declarations name them, over the runtime's own. The package's own file
 * pulls the browser's library into the whole program, where `fetch` then refuses bodies that Node takes. Named by `paths`
 * in tsconfig.json; nothing of it exists at run time.
 */

/** Answers as graphql-yoga makes them. */
export const Response: typeof globalThis.Response;

/** The fetch interface that graphql-yoga may be given. */
export function createFetch(options?: object): {
  readonly fetch: typeof globalThis.fetch;
  readonly Request: typeof globalThis.Request;
  readonly Response: typeof globalThis.Response;
  readonly Headers: typeof globalThis.Headers;
  readonly URL: typeof globalThis.URL;
};
