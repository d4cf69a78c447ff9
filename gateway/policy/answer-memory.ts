/**
 * What came of questions that were asked before. An answer depends on nothing but the question and the policies, so a
 * memory belongs to one evaluator of one bundle and goes with it. Questions are told apart by SHA-256 over all of their bytes: they
 * hold arguments, which are not to be read in memory when their call is over.
 */

import { sha256Into } from "#crypto";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { CedarAnswer } from "./cedar.ts";

const MAX_QUESTIONS = 4096;

/** Answers by question. */
export class AnswerMemory<A extends Pick<CedarAnswer, "type"> = CedarAnswer> {
  #answers = new Map<string, A>();
  /** Answers of the generation before: what is asked again moves over, the rest goes. */
  #older = new Map<string, A>();

  /** @param question  the whole of it, as text @param ask  what answers it; an answer that failed is not kept */
  answer(question: string, ask: () => A): A {
    const key = hashOf(question);
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const answer = this.#older.get(key) ?? ask();
    if (answer.type !== "failed") this.#keep(key, answer);
    return answer;
  }

  #keep(key: string, answer: A): void {
    if (this.#answers.size >= MAX_QUESTIONS) {
      this.#older = this.#answers;
      this.#answers = new Map();
    }
    this.#answers.set(key, answer);
  }
}

const encoder = new TextEncoder();
/** Most questions fit in here: the memory of each of their own would cost more than to hash them. */
const bytes = new Uint8Array(16 * 1024);
/** Of one code unit of a text. */
const MAX_UNIT_BYTES = 3;
const hashed = new Uint8Array(32);

/** Leaves nothing of the question behind. */
function hashOf(question: string): string {
  if (question.length * MAX_UNIT_BYTES > bytes.length) {
    sha256Into(formatUtf8(question), hashed, 0);
  } else {
    const written = bytes.subarray(0, encoder.encodeInto(question, bytes).written);
    sha256Into(written, hashed, 0);
    written.fill(0);
  }
  return formatHex(hashed);
}
