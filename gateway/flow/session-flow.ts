/**
 * What a session has been given so far: labels, each with the receipt that brought it, and values. Labels say "after",
 * never "derived from". A label stays until the session is sealed; nothing that an agent can send takes it away.
 */

import { constant } from "../../kernel/json/constant.ts";
import type { Label } from "../../kernel/receipt/fields.ts";
import type { Taint } from "../../kernel/receipt/inspection.ts";
import { present } from "../../kernel/receipt/observed.ts";
import type { DataClass } from "../catalog/data-class.ts";
import { OldestFirst } from "../oldest-first.ts";
import type { CedarValueJson } from "../policy/cedar.ts";
import { ValueMemory } from "./value-memory.ts";

/** Most labels of a receipt (kernel/receipt/fields.ts). */
const MAX_LABELS = 32;
const SENSITIVITY = /^sensitivity-([0-9])$/u;
const DOMAIN = /^in-(.+)$/u;

/** The labels that a result of this class brings: its own, its domain as `in-<domain>`, its sensitivity as `sensitivity-<n>`. */
export function labelsOf({ labels = [], domain, sensitivity }: DataClass): readonly Label[] {
  if (domain === undefined && sensitivity === undefined && labels.length === 0) return NO_LABELS;
  const marks = [
    ...(domain === undefined ? [] : [`in-${domain}`]),
    ...(sensitivity === undefined ? [] : [`sensitivity-${sensitivity}`]),
  ];
  return [...new Set([...labels, ...marks])];
}

const NO_LABELS: readonly Label[] = [];

/** The highest of the labels `sensitivity-<n>`; 0 if there is none. */
function sensitivityOf(labels: Iterable<Label>): number {
  return Math.max(0, ...[...labels].map((label) => Number(SENSITIVITY.exec(label)?.[1] ?? 0)));
}

/** The domains among labels. */
function domainsOf(labels: Iterable<Label>): readonly Label[] {
  return [...labels].flatMap((label) => DOMAIN.exec(label)?.[1] ?? []);
}

/** An outcome that gave something to the session. */
export interface Source {
  readonly seq: number;
  readonly serverId: string;
  readonly domain: Label | undefined;
}

/** What a session's labels come to. */
export interface Standing {
  /** Sorted. */
  readonly labels: readonly Label[];
  /** Members of `context.session`, where no value is repeated. */
  readonly session: Readonly<Record<string, CedarValueJson>>;
  /** What a receipt says that changes none of them. */
  readonly taint: { readonly state: "present"; readonly value: Taint };
}

/** @param origins  number of the receipt that brought each label */
function standingOf(origins: ReadonlyMap<Label, number>): Standing {
  const labels = [...origins.keys()].sort();
  const sources = labels.map((label) => ({ label, seq: origins.get(label) ?? 0 }));
  return {
    labels,
    session: {
      taint: [...labels],
      domains: [...domainsOf(labels)],
      sensitivity: sensitivityOf(labels),
      matches: [],
    },
    taint: constant(present({ before: labels, after: labels, sources })),
  };
}

function firstsOf(sources: Iterable<Source>): Map<Label, Source> {
  const firsts = new Map<Label, Source>();
  for (const source of sources) {
    if (source.domain !== undefined && !firsts.has(source.domain)) firsts.set(source.domain, source);
  }
  return firsts;
}

/** Most sources of one session that are kept for edges; the oldest go first. */
const MAX_SOURCES = 65_536;

/** One open session. */
export class SessionFlow {
  readonly memory: ValueMemory;
  readonly #labels = new Map<Label, number>();
  /** What the labels come to, until there is another. */
  #standing: Standing | undefined;
  /** The first outcome of each domain, until one that may be a first is let go. */
  #firsts: Map<Label, Source> | undefined;
  readonly #sources = new OldestFirst<number, Source>(MAX_SOURCES);

  /**
   * @param labels  what the session starts with, by its session-open
   * @param openSeq  number of that receipt
   * @param key  32 random bytes
   */
  constructor(labels: readonly Label[], openSeq: number, key: Uint8Array) {
    for (const label of labels) this.#labels.set(label, openSeq);
    this.memory = new ValueMemory(key);
  }

  /** Sorted. */
  labels(): readonly Label[] {
    return this.standing().labels;
  }

  /** The labels as they are now, and what follows from them. */
  standing(): Standing {
    this.#standing ??= standingOf(this.#labels);
    return this.#standing;
  }

  source(seq: number): Source | undefined {
    return this.#sources.get(seq);
  }

  /** The first outcome of each domain. */
  firstOfDomains(): readonly Source[] {
    this.#firsts ??= firstsOf(this.#sources.values());
    return [...this.#firsts.values()];
  }

  /** Takes what an outcome brings. Labels beyond 32 are one label more: `many-labels`. */
  take(labels: readonly Label[], source: Source): void {
    for (const label of labels) {
      if (this.#labels.has(label)) continue;
      const isLast = this.#labels.size >= MAX_LABELS - 1;
      this.#labels.set(isLast ? "many-labels" : label, source.seq);
      this.#standing = undefined;
    }
    this.#sources.set(source.seq, source);
    const { domain } = source;
    if (this.#sources.trim() > 0) this.#firsts = undefined;
    else if (domain !== undefined && this.#firsts?.has(domain) === false) this.#firsts.set(domain, source);
  }
}
