/** Builds elements. Text is always set as text: nothing of a ledger becomes markup. */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element with attributes and children (elements or texts); null children are left out. */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** An SVG element, likewise. */
export function svgElement(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** The element of the page with this id. */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/** A chip: a short word on a coloured ground. */
export function chip(text, tone = "", title = "") {
  return element("span", { class: `chip ${tone}`, ...(title === "" ? {} : { title }) }, text);
}

/** The first digits of a hash, the whole of it in the title. */
export function shortHash(hash, digits = 16) {
  return element("span", { class: "hash", title: hash }, hash.length > digits ? `${hash.slice(0, digits)}…` : hash);
}

/** A time as people of this place write it; the exact one in the title. */
export function timeText(iso) {
  const date = new Date(iso);
  const text = Number.isNaN(date.getTime())
    ? iso
    : `${date.toLocaleDateString("en-CA")} ${date.toLocaleTimeString("en-GB")}`;
  return element("time", { datetime: iso, title: iso }, text);
}

/** STREAM_OPEN as words: stream open. */
export function words(name) {
  return name.toLowerCase().replaceAll("_", " ");
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
