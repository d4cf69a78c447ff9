/**
 * Labels of a principal's last 24 hours, durable: a session that an agent can end and open again starts with what its
 * principal was given before, so that a new session is no way out of a label (mcp-gateway §10). Principals appear by their
 * keyed ids only.
 */

import { join } from "node:path";
import { StoreError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/json/parse.ts";
import { hex64Shape, type Label, labelShape } from "../../kernel/receipt/fields.ts";
import { array, integer, object, readShape, type Shape } from "../../kernel/shape.ts";
import { readIfThere } from "../receipts/read-if-there.ts";
import { writeDurably } from "../receipts/write-durably.ts";

const FILE = "labels.json";
const KEPT_MS = 24 * 3_600_000;
/** A label that is brought again is written again after so long. */
const REFRESH_MS = 10 * 60_000;
const MAX_ROWS = 1_000_000;
const MAX_BYTES = 256 * 1024 * 1024;

type Row = { readonly principal: string; readonly label: Label; readonly at_ms: number };

const rowsShape: Shape<readonly Row[]> = array(
  object<Row>({ principal: hex64Shape, label: labelShape, at_ms: integer() }),
  { max: MAX_ROWS },
);

/** Labels by principal. */
export class PrincipalLabels {
  readonly #folder: string;
  readonly #nowMs: () => number;
  readonly #rows = new Map<string, Map<Label, number>>();
  #writing: Promise<void> = Promise.resolve();

  private constructor(folder: string, nowMs: () => number) {
    this.#folder = folder;
    this.#nowMs = nowMs;
  }

  /**
   * Reads what the last run left.
   *
   * @throws {StoreError} ERR_FILE_READ if the file cannot be read: an empty start would forget what agents were given
   */
  static async open(folder: string, nowMs: () => number): Promise<PrincipalLabels> {
    const labels = new PrincipalLabels(folder, nowMs);
    for (const { principal, label, at_ms: atMs } of await readRows(folder)) labels.#set(principal, label, atMs);
    return labels;
  }

  /** Labels of the last 24 hours, sorted. */
  of(principal: string): readonly Label[] {
    const since = this.#nowMs() - KEPT_MS;
    return [...(this.#rows.get(principal) ?? [])]
      .filter(([, atMs]) => atMs > since)
      .map(([label]) => label)
      .sort();
  }

  /**
   * Notes that a principal was given something; durable when the promise resolves.
   *
   * @throws the system's error if it cannot be written: the answer must be withheld
   */
  async note(principal: string, labels: readonly Label[]): Promise<void> {
    const nowMs = this.#nowMs();
    const due = labels.filter((label) => nowMs - (this.#rows.get(principal)?.get(label) ?? -Infinity) >= REFRESH_MS);
    if (due.length === 0) return this.#writing;
    for (const label of due) this.#set(principal, label, nowMs);
    return this.#write();
  }

  /** Forgets a principal's labels: an operator's word. @returns how many there were */
  async forget(principal: string): Promise<number> {
    const count = this.of(principal).length;
    if (this.#rows.delete(principal)) await this.#write();
    return count;
  }

  #set(principal: string, label: Label, atMs: number): void {
    const known = this.#rows.get(principal) ?? new Map<Label, number>();
    known.set(label, Math.max(atMs, known.get(label) ?? 0));
    this.#rows.set(principal, known);
  }

  /** Writes follow each other; one that waits writes everything that came meanwhile. */
  #write(): Promise<void> {
    this.#writing = this.#writing.then(
      () => writeDurably(this.#folder, FILE, this.#text()),
      () => writeDurably(this.#folder, FILE, this.#text()),
    );
    return this.#writing;
  }

  #text(): string {
    const since = this.#nowMs() - KEPT_MS;
    const rows: Row[] = [];
    for (const [principal, labels] of this.#rows) {
      for (const [label, atMs] of labels) if (atMs > since) rows.push({ principal, label, at_ms: atMs });
    }
    return `${JSON.stringify(rows)}\n`;
  }
}

async function readRows(folder: string): Promise<readonly Row[]> {
  const path = join(folder, FILE);
  try {
    const bytes = await readIfThere(path);
    return bytes === undefined ? [] : readShape(rowsShape, parseJson(bytes, { maxBytes: MAX_BYTES }), path);
  } catch (cause) {
    const why = "without it agents would start unlabelled";
    throw new StoreError("ERR_FILE_READ", `${path} cannot be read; ${why}`, { cause });
  }
}
