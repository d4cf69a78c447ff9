/** One receipt: its facts, and the path of its proof, recomputed here. */

import { ask } from "./api.js";
import { byId, chip, element, shortHash, timeText, words } from "./dom.js";
import { hashEntry, recomputePath, toHex } from "./proof.js";
import { drawProof } from "./proof-picture.js";
import { checkMarks, resultChip } from "./receipts.js";

const QUERY = `query ($ledger: String, $index: Count!) {
  receipt(ledger: $ledger, index: $index) {
    index leafHash stream seq kind time tool server method session decision judgement wouldDeny step reasons policies
    policy { digest version } mode status effect decisionSeq entry
    checks { inclusion { verdict code } signature { verdict code } continuity { verdict code } issuer { verdict } }
  }
  inclusionProof(ledger: $ledger, index: $index) { size hashes root witnessed }
  checkpoint(ledger: $ledger) { size root cosignatures { witness } }
  logProof(ledger: $ledger, index: $index) { text }
}`;

/** Shows a receipt in the panel. @throws {NodeError} */
export async function showReceipt(ledger, index) {
  const { receipt, inclusionProof, checkpoint, logProof } = await ask(QUERY, { ledger, index });
  if (receipt === null) {
    byId("detail").replaceChildren(
      element("p", { class: "empty" }, `Entry ${index} is no receipt that this node could read.`),
    );
    return;
  }
  const proof = await recompute(receipt, inclusionProof, checkpoint);
  byId("detail").replaceChildren(
    heading(receipt),
    element("section", { id: "proof" }, element("h3", {}, "Proof"), ...proof, actions(receipt, logProof)),
    element("section", {}, element("h3", {}, "Receipt"), facts(receipt)),
    entrySection(receipt),
  );
}

/** Hashes the entry and folds the proof in this browser; what the node says is only compared at the end. */
async function recompute(receipt, { size, hashes }, checkpoint) {
  try {
    const leaf = await hashEntry(receipt.entry);
    const { steps, root } = await recomputePath({ leaf, index: receipt.index, size, hashes });
    const isWitnessed = checkpoint !== null && checkpoint.size === size && checkpoint.root === root;
    const bytes = new TextEncoder().encode(receipt.entry).length;
    const picture = drawProof({ leaf: toHex(leaf), index: receipt.index, bytes, steps, isWitnessed });
    return [verdict(isWitnessed, steps.length + 1, size, checkpoint), legend(), picture];
  } catch (error) {
    return [box("bad", "✕", "The proof cannot be recomputed", error.message)];
  }
}

function verdict(isWitnessed, hashes, size, checkpoint) {
  const count = new Set((checkpoint?.cosignatures ?? []).map(({ witness }) => witness)).size;
  const work = `${hashes} SHA-256 computed in this browser, from the entry to the root of ${size.toLocaleString("en")} entries.`;
  if (isWitnessed) {
    return box(
      "good",
      "✓",
      "Matches the witnessed root",
      `${work} The signatures of the log and of ${count} witnesses on that root were checked by this node; check them yourself with the log proof.`,
    );
  }
  return box("bad", "✕", "Does not match the witnessed root", work);
}

function box(tone, mark, title, text) {
  return element(
    "div",
    { class: `verdict ${tone}`, role: "status" },
    element("span", { class: "mark", "aria-hidden": "true" }, mark),
    element("div", {}, element("strong", {}, title), text),
  );
}

/** What the colours of the picture mean. */
function legend() {
  const entry = (kind, text) => element("span", {}, element("i", { class: kind }), text);
  return element("p", { class: "legend" }, entry("path", "computed here"), entry("sibling", "sibling, from the proof"));
}

function heading(receipt) {
  return element(
    "header",
    {},
    element("h2", {}, `Receipt ${receipt.index.toLocaleString("en")}: ${words(receipt.kind)}`),
    element(
      "div",
      { class: "chips" },
      resultChip(receipt),
      receipt.tool === null ? null : chip(receipt.tool, "accent"),
      checkMarks(receipt.checks),
    ),
  );
}

function facts(receipt) {
  const rows = [
    ["time", timeText(receipt.time)],
    ["tool", receipt.tool],
    ["server", receipt.server],
    ["method", receipt.method],
    ["decided at", receipt.step],
    ["reasons", receipt.reasons.join(", ")],
    ["policies", receipt.policies.join(", ")],
    [
      "bundle",
      receipt.policy === null
        ? null
        : element("span", {}, `${receipt.policy.version} `, shortHash(receipt.policy.digest, 23)),
    ],
    ["mode", receipt.mode],
    ["outcome", receipt.status === null ? null : `${receipt.status}, effect ${receipt.effect}`],
    ["decision", receipt.decisionSeq === null ? null : `seq ${receipt.decisionSeq}`],
    ["session", receipt.session === null ? null : element("span", { class: "mono" }, receipt.session)],
    ["stream", element("span", {}, shortHash(receipt.stream, 24), ` seq ${receipt.seq}`)],
    ["leaf hash", element("span", { class: "hash" }, receipt.leafHash)],
    ["in the tree", checkText(receipt.checks.inclusion)],
    ["signature", checkText(receipt.checks.signature, "by the receipt key that the stream registered")],
    ["place", checkText(receipt.checks.continuity, "follows the receipt before it")],
    ["issuer", checkText(receipt.checks.issuer, "this node pins no gateway")],
  ];
  const shown = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element("dl", {}, ...shown.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function checkText({ verdict: state, code }, note = "") {
  const tone = { PASS: "good", FAIL: "bad", NOT_ESTABLISHED: "warn" }[state];
  const text = [code, note].filter((part) => part !== null && part !== undefined && part !== "").join(" · ");
  return element("span", {}, chip(words(state), tone), text === "" ? null : ` ${text}`);
}

function actions(receipt, logProof) {
  const save = (name, text, label) => element("button", { click: () => download(name, text) }, label);
  return element(
    "div",
    { class: "actions" },
    save(`receipt-${receipt.index}.tlog-proof`, logProof.text, "Log proof (C2SP)"),
    save(`receipt-${receipt.index}.json`, receipt.entry, "Entry, exact bytes"),
  );
}

function entrySection(receipt) {
  const pretty = JSON.stringify(JSON.parse(receipt.entry), null, 2);
  return element(
    "section",
    {},
    element(
      "details",
      {},
      element("summary", {}, "Entry as the log holds it (shown with line breaks)"),
      element("pre", {}, pretty),
    ),
  );
}

function download(name, text) {
  const url = URL.createObjectURL(new Blob([text]));
  const link = element("a", { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}
