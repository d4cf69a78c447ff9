/** The alarms of a ledger, newest first, with their evidence as it was served. */

import { ask } from "./api.js";
import { byId, chip, element, timeText, words } from "./dom.js";

const QUERY = `query ($ledger: String) {
  alarms(ledger: $ledger, last: 50) {
    edges { node { number kind code message index count firstSeen lastSeen resolved { time note } evidence { label text } } }
  }
}`;

/** Shows the newest fifty. @throws {NodeError} */
export async function showAlarms(ledger) {
  const { alarms } = await ask(QUERY, { ledger });
  const items = alarms.edges.map(({ node }) => alarmItem(node)).reverse();
  byId("alarms").replaceChildren(...items);
  byId("no-alarms").hidden = items.length > 0;
}

function alarmItem({ kind, code, message, count, firstSeen, lastSeen, resolved, evidence }) {
  const times =
    count > 1 ? ["seen ", String(count), " times, last ", timeText(lastSeen)] : ["seen ", timeText(firstSeen)];
  return element(
    "li",
    {},
    element("div", {}, chip(words(kind), "bad"), " ", element("span", { class: "mono" }, code)),
    element("p", {}, message),
    element("p", { class: "when" }, ...times),
    ...(resolved === null ? [] : [element("p", {}, "resolved ", timeText(resolved.time), ": ", resolved.note)]),
    ...evidence.map(({ label, text }) =>
      element("details", {}, element("summary", {}, label), element("pre", {}, text)),
    ),
  );
}
