/**
 * RFC 6962 §2.1 and the subtree proof of draft-ietf-plants-merkle-tree-certs §4, word by word: slow, recursive, on
 * lists. An oracle: it shares no code with the kernel but the word "leaf". Leaves are given as leaf hashes.
 */

import { createHash } from "node:crypto";

const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
};

/** SHA-256(0x00 || entry). */
export const slowLeafHash = (entry: Uint8Array): Uint8Array => sha256(Uint8Array.of(0), entry);

/** SHA-256(0x01 || left || right). */
export const slowNodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(Uint8Array.of(1), left, right);

/** k, the largest power of two smaller than n. */
export function largestPowerOfTwoBelow(n: number): number {
  let k = 1;
  while (2 * k < n) k *= 2;
  return k;
}

/** The functions of the RFC over one fixed list D of leaf hashes; `from` and `to` cut D[from:to]. */
export class SlowTree {
  readonly #leaves: readonly Uint8Array[];
  // MTH of the same slice comes up thousands of times in one run: it is remembered, not shortened.
  readonly #known = new Map<number, Uint8Array>();

  constructor(leaves: readonly Uint8Array[]) {
    this.#leaves = leaves;
  }

  /** MTH(D[from:to]). */
  mth(from: number, to: number): Uint8Array {
    const name = from * 1_000_003 + to;
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const hash = this.#mth(from, to);
    this.#known.set(name, hash);
    return hash;
  }

  #mth(from: number, to: number): Uint8Array {
    const n = to - from;
    if (n === 0) return sha256();
    if (n === 1) return this.#leaves[from] ?? sha256();
    const k = largestPowerOfTwoBelow(n);
    return slowNodeHash(this.mth(from, from + k), this.mth(from + k, to));
  }

  /** PATH(m, D[from:to]), RFC 6962 §2.1.1. */
  path(m: number, from: number, to: number): readonly Uint8Array[] {
    const n = to - from;
    if (n === 1) return [];
    const k = largestPowerOfTwoBelow(n);
    if (m < k) return [...this.path(m, from, from + k), this.mth(from + k, to)];
    return [...this.path(m - k, from + k, to), this.mth(from, from + k)];
  }

  /** PROOF(m, D[0:n]), RFC 6962 §2.1.2. */
  proof(m: number, n: number): readonly Uint8Array[] {
    return this.#subproof(m, 0, n, true);
  }

  #subproof(m: number, from: number, to: number, b: boolean): readonly Uint8Array[] {
    const n = to - from;
    if (m === n) return b ? [] : [this.mth(from, to)];
    const k = largestPowerOfTwoBelow(n);
    if (m <= k) return [...this.#subproof(m, from, from + k, b), this.mth(from + k, to)];
    return [...this.#subproof(m - k, from + k, to, false), this.mth(from, from + k)];
  }

  /** SUBTREE_PROOF(start, end, D[0:n]) of the draft, §4.4.1. */
  subtreeProof(start: number, end: number, n: number): readonly Uint8Array[] {
    return this.#subtreeSubproof(start, end, 0, n, true);
  }

  #subtreeSubproof(start: number, end: number, from: number, to: number, b: boolean): readonly Uint8Array[] {
    const n = to - from;
    if (start === 0 && end === n) return b ? [] : [this.mth(from, to)];
    const k = largestPowerOfTwoBelow(n);
    if (end <= k) return [...this.#subtreeSubproof(start, end, from, from + k, b), this.mth(from + k, to)];
    if (k <= start) {
      return [...this.#subtreeSubproof(start - k, end - k, from + k, to, b), this.mth(from, from + k)];
    }
    return [...this.#subtreeSubproof(0, end - k, from + k, to, false), this.mth(from, from + k)];
  }
}

/** Valid subtrees by the draft's definition, §4.1: start is a multiple of BIT_CEIL(end - start). */
export function isSlowValidSubtree(start: number, end: number): boolean {
  if (end <= start) return false;
  let bitCeil = 1;
  while (bitCeil < end - start) bitCeil *= 2;
  return start % bitCeil === 0;
}

/** Verification of RFC 9162 §2.1.3.2, step by step; false where it says to fail. */
export function slowInclusionVerdict(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (index >= size) return false;
  let [fn, sn, r] = [index, size - 1, leaf];
  for (const p of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      r = slowNodeHash(p, r);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
    } else r = slowNodeHash(r, p);
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && Buffer.compare(r, root) === 0;
}
