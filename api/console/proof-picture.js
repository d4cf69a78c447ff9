/** Draws the path of an inclusion proof: the leaf below, its siblings left and right, the root on top. */

import { svgElement } from "./dom.js";

const WIDTH = 440;
const CENTRE = WIDTH / 2;
const SPREAD = 112;
const BOX = { width: 184, height: 28 };
const ROW = 54;
const TOP = 22;
const DIGITS = 14;

/**
 * The picture of a recomputed path.
 *
 * @param leaf  hexadecimal
 * @param steps  as `recomputePath` gives them, leaf to root
 * @param isWitnessed  whether the last hash is the witnessed root
 */
export function drawProof({ leaf, index, bytes, steps, isWitnessed }) {
  const rows = steps.length;
  const yOf = (row) => TOP + (rows - row) * ROW;
  const xOf = (row) => (row === rows ? CENTRE : CENTRE + (steps[row].side === "right" ? -SPREAD : SPREAD));
  const hashOf = (row) => (row === 0 ? leaf : steps[row - 1].hash);
  const height = yOf(0) + BOX.height + 42;
  const picture = svgElement("svg", {
    class: "proof",
    viewBox: `0 0 ${WIDTH} ${height}`,
    role: "img",
    "aria-label": `Path of ${rows} hashes from leaf ${index} to the root`,
  });
  const edges = [];
  const nodes = [];
  for (let row = 0; row < rows; row += 1) {
    const sibling = { x: 2 * CENTRE - xOf(row), y: yOf(row) };
    edges.push(edge(xOf(row + 1), yOf(row + 1), sibling.x, sibling.y, ""));
    edges.push(edge(xOf(row + 1), yOf(row + 1), xOf(row), yOf(row), "path"));
    nodes.push(box(sibling.x, sibling.y, steps[row].sibling, "sibling", ""));
  }
  for (let row = 0; row < rows; row += 1) nodes.push(box(xOf(row), yOf(row), hashOf(row), "path", ""));
  nodes.push(box(xOf(rows), yOf(rows), hashOf(rows), `root ${isWitnessed ? "good" : "bad"}`, "root, computed here"));
  picture.append(...edges, ...nodes, entryMark(xOf(0), yOf(0) + BOX.height, index, bytes));
  return picture;
}

function edge(fromX, fromY, toX, toY, kind) {
  const [start, end] = [fromY + BOX.height, toY];
  const middle = (start + end) / 2;
  return svgElement("path", {
    class: `edge ${kind}`,
    d: `M${fromX} ${start} C${fromX} ${middle} ${toX} ${middle} ${toX} ${end}`,
  });
}

function box(x, y, hash, kind, label) {
  const left = x - BOX.width / 2;
  return svgElement(
    "g",
    { class: kind, "data-hash": hash },
    svgElement("title", {}, hash),
    svgElement("rect", { x: left, y, width: BOX.width, height: BOX.height, rx: 8 }),
    svgElement("text", { x, y: y + 18 }, `${hash.slice(0, DIGITS)}…`),
    label === "" ? null : svgElement("text", { class: "label", x, y: y - 7 }, label),
  );
}

/** What the leaf is made of. */
function entryMark(x, y, index, bytes) {
  return svgElement(
    "g",
    { class: "entry" },
    svgElement("path", { class: "edge path", d: `M${x} ${y} V${y + 20}` }),
    svgElement(
      "text",
      { class: "label", x, y: y + 34 },
      `leaf: SHA-256(00 ‖ entry ${index}, ${bytes.toLocaleString("en")} bytes)`,
    ),
  );
}
