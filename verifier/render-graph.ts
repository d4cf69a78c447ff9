/** A call graph as JSON, as DOT for Graphviz, and as a picture: calls from top to bottom, one column a server. */

import type { CallEdge, CallGraph, CallNode } from "./call-graph.ts";

/** What every form says of itself. */
const CLAIM = "Calls in order, and equal values; not what a model made of a text.";

/** `{"kind": "call-graph", "v": 1, "claim", "nodes", "edges"}` and a line feed. */
export function graphJson(graph: CallGraph): string {
  return `${JSON.stringify({ kind: "call-graph", v: 1, claim: CLAIM, ...graph }, null, 2)}\n`;
}

/** Graphviz: solid edges repeat a value, dashed ones say the order alone; refused calls are red. */
export function graphDot({ nodes, edges }: CallGraph): string {
  const lines = nodes.map((node) => {
    const colour = node.action === "forward" ? "black" : "red";
    return `  ${dotId(node.stream, node.seq)} [label=${quote(titleOf(node))}, color=${colour}];`;
  });
  const ties = edges.map((edge) => {
    const style = edge.kind === "match" ? "solid" : "dashed";
    const [from, to] = [dotId(edge.stream, edge.from), dotId(edge.stream, edge.to)];
    return `  ${from} -> ${to} [label=${quote(edgeTitle(edge))}, style=${style}];`;
  });
  const head = ["digraph calls {", `  label=${quote(CLAIM)};`, "  node [shape=box, fontname=sans];"];
  return `${[...head, ...lines, ...ties, "}"].join("\n")}\n`;
}

const ROW = 44;
const COLUMN = 190;
const LEFT = 20;
const TOP = 58;
const BOX = { width: 160, height: 28 } as const;

/** An SVG document. */
export function graphSvg({ nodes, edges }: CallGraph): string {
  const servers = [...new Set(nodes.map(serverOf))];
  const places = new Map(
    nodes.map((node, row) => {
      const place = { x: LEFT + servers.indexOf(serverOf(node)) * COLUMN, y: TOP + row * ROW };
      return [`${node.stream}/${node.seq}`, place] as const;
    }),
  );
  const width = LEFT * 2 + Math.max(2, servers.length) * COLUMN + 120;
  const height = TOP + Math.max(1, nodes.length) * ROW + 20;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
      `font-family="sans-serif" font-size="12" role="img" aria-label="call graph">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="20" fill="#444444">${escapeXml(CLAIM)}</text>`,
    ...servers.map((id, i) => `<text x="${LEFT + i * COLUMN}" y="44" font-weight="bold">${escapeXml(id)}</text>`),
    ...edges.map((edge) => drawEdge(edge, places)),
    ...nodes.map((node) => drawNode(node, places)),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

type Places = ReadonlyMap<string, { readonly x: number; readonly y: number }>;

function drawNode(node: CallNode, places: Places): string {
  const place = places.get(`${node.stream}/${node.seq}`);
  if (place === undefined) return "";
  const colour = node.action === "forward" ? "#1f5fa8" : "#b3261e";
  const mark = node.action === "forward" ? (node.status ?? "pending") : node.action;
  return [
    `<g><title>${escapeXml(`${titleOf(node)}\n${node.time}\nlabels: ${node.labels.join(", ") || "none"}`)}</title>`,
    `<rect x="${place.x}" y="${place.y}" width="${BOX.width}" height="${BOX.height}" rx="4" fill="#ffffff" stroke="${colour}"/>`,
    `<text x="${place.x + 8}" y="${place.y + 18}" fill="${colour}">${escapeXml(cut(`${node.seq} ${node.name ?? "…"}`))}</text>`,
    `<text x="${place.x + BOX.width - 6}" y="${place.y + 18}" text-anchor="end" fill="#666666" font-size="10">${escapeXml(mark)}</text></g>`,
  ].join("");
}

function drawEdge(edge: CallEdge, places: Places): string {
  const [from, to] = [places.get(`${edge.stream}/${edge.from}`), places.get(`${edge.stream}/${edge.to}`)];
  if (from === undefined || to === undefined) return "";
  const [x1, y1, x2, y2] = [from.x + BOX.width, from.y + 14, to.x + BOX.width, to.y + 14];
  const bend = Math.max(x1, x2) + 20 + Math.min(80, (y2 - y1) / 4);
  const dash = edge.kind === "match" ? "" : ` stroke-dasharray="4 3"`;
  return (
    `<path d="M${x1} ${y1} C${bend} ${y1} ${bend} ${y2} ${x2} ${y2}" fill="none" stroke="#8a6d00"${dash}>` +
    `<title>${escapeXml(edgeTitle(edge))}</title></path>`
  );
}

function serverOf({ server }: CallNode): string {
  return server ?? "none";
}

function titleOf(node: CallNode): string {
  const call = `${serverOf(node)}/${node.name ?? "(committed name)"}`;
  return `${node.seq} ${call}: ${node.action === "forward" ? (node.status ?? "pending") : node.action}`;
}

function edgeTitle({ kind, match, domains }: CallEdge): string {
  const across = domains === undefined ? "" : ` ${domains.from} to ${domains.to}`;
  return match === undefined ? `${kind}${across}` : `${match.kind} value at ${match.pointer}${across}`;
}

function dotId(stream: string, seq: number): string {
  return quote(`${stream.slice(0, 8)}/${seq}`);
}

function quote(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** Names are at most 128 characters; a box holds about sixteen. */
function cut(text: string): string {
  return text.length <= 16 ? text : `${text.slice(0, 15)}…`;
}
