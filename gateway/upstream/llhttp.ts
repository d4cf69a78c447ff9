/**
 * llhttp, the HTTP parser of Node, strict, in WebAssembly as undici brings it along. It has one memory for all parsers, and what
 * they find is told where they are asked: nothing of it is asynchronous.
 */

import module from "undici/lib/llhttp/llhttp-wasm.js";
import { invariant } from "../../kernel/errors.ts";
import "../wasm-calls.ts";

/** What is told of the message that is read; another number than 0 stops it. Places are in `memory`. */
export interface LlhttpEvents {
  readonly wasm_on_url: () => number;
  readonly wasm_on_status: () => number;
  readonly wasm_on_message_begin: () => number;
  readonly wasm_on_header_field: (parser: number, at: number, length: number) => number;
  readonly wasm_on_header_value: (parser: number, at: number, length: number) => number;
  readonly wasm_on_headers_complete: (parser: number, status: number, upgrade: number, keepAlive: number) => number;
  readonly wasm_on_body: (parser: number, at: number, length: number) => number;
  readonly wasm_on_message_complete: () => number;
}

/** What is used of it. */
export interface Llhttp {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly malloc: (length: number) => number;
  /** @param type  of messages */
  readonly llhttp_alloc: (type: number) => number;
  readonly llhttp_free: (parser: number) => void;
  /** @returns 0, or the number of a fault */
  readonly llhttp_execute: (parser: number, at: number, length: number) => number;
  /** Nothing follows. @returns 0, or the number of a fault */
  readonly llhttp_finish: (parser: number) => number;
}

/** The type of messages that are answers. */
export const RESPONSE = 2;

const FUNCTIONS = ["malloc", "llhttp_alloc", "llhttp_free", "llhttp_execute", "llhttp_finish"] as const;

/** As much of the runtime's WebAssembly as is used, of which there are no types beside those of a browser. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

/** Makes it; compiled once for each. */
export function makeLlhttp(env: LlhttpEvents): Llhttp {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module), { env });
  invariant(isLlhttp(exports), "llhttp: want the exports of undici's module");
  return exports;
}

function isLlhttp(exports: Readonly<Record<string, unknown>>): exports is Llhttp & Readonly<Record<string, unknown>> {
  return typeof exports["memory"] === "object" && FUNCTIONS.every((name) => typeof exports[name] === "function");
}
