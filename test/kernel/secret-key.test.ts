/** Files of secret envelope keys. */

import { describe, expect, it } from "vitest";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { ALGS } from "../../kernel/signature/public-key.ts";
import { formatSecretKey, parseSecretKey } from "../../kernel/signature/secret-key.ts";
import { createSigner, SECRET_BYTES } from "../../kernel/signature/signer.ts";
import { codeOf } from "../support/code-of.ts";
import { oneCharacterChanges, truncations } from "../support/each-damage.ts";

const secretOf = (length: number): Uint8Array => new Uint8Array(length).map((_, i) => i + 1);
const parse = (text: string): ReturnType<typeof parseSecretKey> => parseSecretKey(formatUtf8(text));

describe.each(ALGS)("a secret key file of %s", (alg) => {
  const secret = secretOf(SECRET_BYTES[alg]);
  const text = formatSecretKey({ alg, secret });

  it("comes back, with and without a line end, as what a signer takes", () => {
    expect(parse(text)).toEqual({ alg, secret });
    expect(parse(`${text}\n`)).toEqual({ alg, secret });
    expect(createSigner(alg, parse(text).secret).publicKey).toEqual(createSigner(alg, secret).publicKey);
  });

  it("is refused after every truncation; a changed character never gives the same key", () => {
    for (const part of truncations(text)) expect(codeOf(() => parse(part))).not.toBe("accepted");
    for (const other of oneCharacterChanges(text)) {
      if (codeOf(() => parse(other)) === "accepted") expect(parse(other)).not.toEqual({ alg, secret });
    }
  });

  it("has a secret of the length of its algorithm, and no other member", () => {
    for (const length of [0, 31, 33, 63, 65]) {
      expect(codeOf(() => parse(formatSecretKey({ alg, secret: secretOf(length) })))).toBe("ERR_BYTES_LENGTH");
    }
    expect(codeOf(() => parse(text.replace('"v":1', '"v":2')))).toBe("ERR_SHAPE");
    expect(codeOf(() => parse(text.replace('"secret-key"', '"secret"')))).toBe("ERR_SHAPE");
    expect(codeOf(() => parse(text.replace('{"alg"', '{"a":0,"alg"')))).toBe("ERR_SHAPE");
    expect(codeOf(() => parse(`${text}\n\n`))).toBe("ERR_JSON_CANONICAL");
    expect(codeOf(() => parse(`${" ".repeat(1024)}${text}`))).toBe("ERR_JSON_SIZE");
  });
});
