/**
 * Many short sequences of characters, found in one walk over a text: a deterministic automaton made of them by subset construction.
 * A walk costs one look-up for each character, however many sequences there are.
 */

import { invariant } from "../../kernel/errors.ts";

/** One step of a sequence: any one of these characters of ASCII. */
export interface Step {
  readonly of: string;
  readonly isOptional?: true;
}

/** A sequence, and the bits that are set where it stands. The last step is not optional. */
export interface Sequence {
  readonly bits: number;
  readonly steps: readonly Step[];
}

/** The table of an automaton, which starts in state 0. A state is the place of its row. */
export interface MarkAutomaton {
  /** Class of each character below 128; index 128 is every other character. */
  readonly classes: Uint8Array;
  /** The next state, at `state + class`. */
  readonly next: Uint16Array;
  /** States from here on end a sequence; which bits they set stands at their place. */
  readonly firstEnd: number;
  readonly bits: Int32Array;
}

const ASCII = 128;
/** What an entry of the table can name. */
const MAX_PLACES = 0x1_0000;

/** The automaton of these sequences. */
export function markAutomaton(sequences: readonly Sequence[]): MarkAutomaton {
  const { classes, characters } = classesOf(sequences);
  const places = placesOf(sequences);
  const moves = characters.map((character) => maskOf(places, ({ step }) => step?.of.includes(character) === true));
  const optional = maskOf(places, ({ step }) => step?.isOptional === true);
  const firsts = maskOf(places, ({ isFirst }) => isFirst);
  const rows = new Map<bigint, readonly bigint[]>();
  const open = [firsts];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    if (rows.has(state)) continue;
    const from = state;
    const row = moves.map((move) => withSkipped(((from & move) << 1n) | firsts, optional));
    rows.set(state, row);
    open.push(...row);
  }
  return tableOf(rows, places, classes);
}

/** A number of steps done, with the step that comes next; none if all are done. A set of places is a number of bits, by index. */
interface Place {
  readonly step: Step | undefined;
  readonly isFirst: boolean;
  readonly bits: number;
}

function placesOf(sequences: readonly Sequence[]): readonly Place[] {
  return sequences.flatMap(({ steps, bits }) => [
    ...steps.map((step, done): Place => ({ step, isFirst: done === 0, bits: 0 })),
    { step: undefined, isFirst: false, bits },
  ]);
}

function maskOf(places: readonly Place[], isIn: (place: Place) => boolean): bigint {
  return places.reduce((mask, place, index) => (isIn(place) ? mask | (1n << BigInt(index)) : mask), 0n);
}

/** With the places behind optional steps. */
function withSkipped(state: bigint, optional: bigint): bigint {
  const more = state | ((state & optional) << 1n);
  return more === state ? state : withSkipped(more, optional);
}

/** Characters that no step tells apart are one class; of each class one character. Class 0 is in no step. */
function classesOf(sequences: readonly Sequence[]): {
  readonly classes: Uint8Array;
  readonly characters: readonly string[];
} {
  const sets = [...new Set(sequences.flatMap(({ steps }) => steps.map(({ of }) => of)))];
  const known = new Map<string, number>([["", 0]]);
  const characters = ["none"];
  const classes = new Uint8Array(ASCII + 1);
  for (let code = 0; code < ASCII; code += 1) {
    const character = String.fromCharCode(code);
    const key = sets.flatMap((set, index) => (set.includes(character) ? [index] : [])).join();
    const number = known.get(key) ?? characters.push(character) - 1;
    known.set(key, number);
    classes[code] = number;
  }
  return { classes, characters };
}

function tableOf(
  rows: ReadonlyMap<bigint, readonly bigint[]>,
  places: readonly Place[],
  classes: Uint8Array,
): MarkAutomaton {
  const bitsOf = (state: bigint): number =>
    places.reduce((bits, place, index) => (((state >> BigInt(index)) & 1n) === 0n ? bits : bits | place.bits), 0);
  const all = [...rows.keys()].map((state) => ({ state, bits: bitsOf(state) }));
  // The first state of all ends nothing and stays the first.
  const ordered = [...all.filter(({ bits }) => bits === 0), ...all.filter(({ bits }) => bits !== 0)];
  const width = Math.max(...classes) + 1;
  // A place that did not fit would be another state: a mark that is not set where it stands.
  invariant(ordered.length * width <= MAX_PLACES, "too many states for the table");
  const numbers = new Map(ordered.map(({ state }, index) => [state, index * width]));
  const next = new Uint16Array(ordered.length * width);
  const bits = new Int32Array(ordered.length * width);
  ordered.forEach(({ state, bits: own }, index) => {
    bits[index * width] = own;
    next.set(
      (rows.get(state) ?? []).map((other) => numbers.get(other) ?? 0),
      index * width,
    );
  });
  return { classes, next, firstEnd: all.filter((one) => one.bits === 0).length * width, bits };
}
