/**
 * Type of a file of undici that is imported by its own name: the parser of Node, llhttp, as a module of WebAssembly. Named by
 * `paths` in tsconfig.json; nothing of this exists at run time.
 */

declare const bytes: Uint8Array;

export = bytes;
