/**
 * What an operator declares about the data behind a server's tools: its domain, the labels that results bring, how
 * sensitive they are, and which arguments name a data subject. It stands in the catalog, so its digest covers it.
 */

import { FormatError } from "../../kernel/errors.ts";
import { isJsonPointer } from "../../kernel/json/pointer.ts";
import { type Label, labelShape } from "../../kernel/receipt/fields.ts";
import { array, integer, mapped, object, optional, record, type Shape, string } from "../../kernel/shape.ts";

/** Declared of a server or of one tool. */
export type DataClass = {
  /** The compliance domain, for example `clinical`; a word of the operator's own. */
  readonly domain?: Label;
  /** Labels that a result brings into the session. */
  readonly labels?: readonly Label[];
  /** 0 (public) to 9: a session's sensitivity is the highest of what it was given, and never falls. */
  readonly sensitivity?: number;
  /** JSON Pointers into the arguments whose values name a data subject. */
  readonly subjects?: readonly string[];
  /** How much of a result is needed. */
  readonly results?: ResultNeeds;
};

/** The most that a result needs to have: what is above it is a finding that blocks. */
export type ResultNeeds = {
  /** Of the whole message that the agent would get. */
  readonly bytes?: number;
  /** Items by JSON Pointer into structured content, or into a text that is JSON; a step `*` is any member or item. */
  readonly items?: Readonly<Record<string, number>>;
};

/** Of a server, with what differs for single tools. */
export type ServerDataClass = DataClass & { readonly tools?: Readonly<Record<string, DataClass>> };

const pointerShape: Shape<string> = mapped(string({ maxLength: 1024 }), (text) => {
  if (isJsonPointer(text)) return text;
  throw new FormatError("ERR_SHAPE", "want a JSON Pointer");
});

/** Three characters shorter than a label, since it is one with `in-` in front. */
const domainShape: Shape<Label> = string({
  pattern: /^[a-z0-9][a-z0-9-]{0,28}$/u,
  maxLength: 29,
  description: "a domain: 1 to 29 of a-z, 0-9 and -",
});

const needsShape: Shape<ResultNeeds> = object<ResultNeeds>({
  bytes: optional(integer({ min: 1 })),
  items: optional(
    mapped(record(integer(), { max: 32, key: /^.{0,1024}$/su }), (items) => {
      if (Object.keys(items).every(isJsonPointer)) return items;
      throw new FormatError("ERR_SHAPE", "want JSON Pointers as names");
    }),
  ),
});

const members = {
  domain: optional(domainShape),
  labels: optional(array(labelShape, { max: 16 })),
  sensitivity: optional(integer({ max: 9 })),
  subjects: optional(array(pointerShape, { max: 32 })),
  results: optional(needsShape),
};

const toolShape: Shape<DataClass> = object<DataClass>(members);

export const serverDataClassShape: Shape<ServerDataClass> = object<ServerDataClass>({
  ...members,
  tools: optional(record(toolShape, { max: 2000, key: /^.{1,4096}$/su })),
});

/** What holds for a tool: its own word where it has one, the labels and subjects of both, and its needs over the server's. */
export function dataClassOf(server: ServerDataClass | undefined, tool: string | undefined): DataClass {
  if (server === undefined) return NOTHING_DECLARED;
  const { tools } = server;
  const special = tools !== undefined && tool !== undefined && Object.hasOwn(tools, tool) ? tools[tool] : undefined;
  const made = classes.get(server) ?? new WeakMap<DataClass, DataClass>();
  classes.set(server, made);
  const known = made.get(special ?? server);
  if (known !== undefined) return known;
  const joined = join(server, special);
  made.set(special ?? server, joined);
  return joined;
}

/** Declarations stand in a catalog and never change, so what two of them come to is found once. */
const classes = new WeakMap<ServerDataClass, WeakMap<DataClass, DataClass>>();

function join({ tools: _, ...own }: ServerDataClass, special: DataClass | undefined): DataClass {
  const results = { ...own.results, ...special?.results };
  return {
    ...own,
    ...special,
    labels: union(own.labels, special?.labels),
    subjects: union(own.subjects, special?.subjects),
    ...(Object.keys(results).length === 0 ? {} : { results }),
  };
}

function union(a: readonly string[] = [], b: readonly string[] = []): readonly string[] {
  return [...new Set([...a, ...b])];
}

const NOTHING_DECLARED: DataClass = join({}, undefined);
