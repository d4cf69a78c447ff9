/**
 * Recomputes an inclusion proof (RFC 6962 §2.1.1) with the browser's own SHA-256. Nothing here believes the node: only
 * the entry, its index, the tree's size and the sibling hashes go in, and a root comes out.
 */

/** Hexadecimal of bytes. */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Bytes of lower-case hexadecimal of 32 bytes. */
export function fromHex(text) {
  if (!/^[0-9a-f]{64}$/u.test(text)) throw new Error("not a hash in hexadecimal");
  return Uint8Array.from(text.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Leaf hash of an entry: SHA-256(00 ‖ entry). */
export function hashEntry(text) {
  const entry = new TextEncoder().encode(text);
  return sha256(Uint8Array.of(0), entry);
}

/**
 * The path from a leaf to the root, one step a proof hash: on which side the sibling stands, and the hash of the node
 * above both.
 *
 * @returns {Promise<{steps: {side: "left" | "right", sibling: string, hash: string}[], root: string}>}
 */
export async function recomputePath({ leaf, index, size, hashes }) {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) {
    throw new Error("the index is not in the tree");
  }
  let hash = leaf;
  let [node, last] = [index, size - 1];
  const steps = [];
  for (const hex of hashes) {
    if (last === 0) throw new Error("the proof is too long");
    const sibling = fromHex(hex);
    const side = node % 2 === 1 || node === last ? "left" : "right";
    hash = side === "left" ? await hashNode(sibling, hash) : await hashNode(hash, sibling);
    steps.push({ side, sibling: hex, hash: toHex(hash) });
    // A node without a right sibling moves up unchanged until it has a left one.
    while (side === "left" && node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  if (last !== 0) throw new Error("the proof is too short");
  return { steps, root: toHex(hash) };
}

/** Hash of an inner node: SHA-256(01 ‖ left ‖ right). */
function hashNode(left, right) {
  return sha256(Uint8Array.of(1), left, right);
}

async function sha256(...parts) {
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
