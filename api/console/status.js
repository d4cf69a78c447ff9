/** The cards on top: how the ledger is followed, its newest witnessed checkpoint, its witnesses, its alarms. */

import { chip, element, shortHash, timeText, words } from "./dom.js";

const TONES = { FOLLOWING: "good", STARTING: "", UNREACHABLE: "warn", REFUSED: "bad", FORKED: "bad", FAILED: "bad" };

/** Query for the cards. */
export const STATUS_QUERY = `{
  ledgers {
    name origin kind state since lastContact indexed receipts alarms quorum
    witnesses { name keyName lastCosigned lastSize }
    checkpoint { size root cosignatures { witness time } }
  }
}`;

/** The cards of one ledger. */
export function statusCards(ledger) {
  const { checkpoint } = ledger;
  return [
    card("Ledger", element("div", { class: "big" }, ledger.name), stateLine(ledger)),
    card("Receipts", big(ledger.receipts), small(`${ledger.indexed.toLocaleString("en")} entries indexed`)),
    card("Witnessed root", ...rootLines(checkpoint)),
    card("Witnesses", witnessChips(ledger)),
    card(
      "Alarms",
      element("div", { class: "big" }, chip(ledger.alarms.toLocaleString("en"), ledger.alarms === 0 ? "good" : "bad")),
    ),
  ];
}

function stateLine({ state, origin }) {
  return element("div", { class: "small" }, chip(words(state), TONES[state] ?? ""), ` ${origin}`);
}

function rootLines(checkpoint) {
  if (checkpoint === null) return [element("div", { class: "big" }, "—"), small("no checkpoint is verified yet")];
  const newest = checkpoint.cosignatures
    .map(({ time }) => time)
    .toSorted()
    .at(-1);
  return [
    shortHash(checkpoint.root, 40),
    element(
      "div",
      { class: "small" },
      `size ${checkpoint.size.toLocaleString("en")}`,
      ...(newest === undefined ? [] : [" · cosigned ", timeText(newest)]),
    ),
  ];
}

function witnessChips({ witnesses, checkpoint, quorum }) {
  const signed = new Set((checkpoint?.cosignatures ?? []).map(({ witness }) => witness));
  const chips = witnesses.map(({ name, keyName, lastCosigned }) => {
    const has = signed.has(name);
    return chip(
      `${has ? "✓" : "–"} ${name}`,
      has ? "good" : "warn",
      `${keyName}, last cosigned ${lastCosigned ?? "never"}`,
    );
  });
  const count = small(`${signed.size} of ${witnesses.length} cosigned the newest checkpoint · quorum: ${quorum}`);
  return element("div", {}, element("div", { class: "witnesses" }, ...chips), count);
}

function card(title, ...children) {
  return element("div", { class: "card" }, element("h2", {}, title), ...children);
}

function big(value) {
  return element("div", { class: "big" }, value.toLocaleString("en"));
}

function small(text) {
  return element("div", { class: "small" }, text);
}
