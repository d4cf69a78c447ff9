/**
 * What the engine said of questions that were asked before. An answer depends on nothing but the question and the policies, so a
 * memory belongs to one evaluator of one bundle and goes with it. Questions are told apart by SHA-256 over all of their bytes: they
 * hold arguments, which are not to be read in memory when their call is over.
 */

import { sha256 } from "#crypto";
import { formatUtf8 } from "../../kernel/bytes.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { CedarAnswer } from "./cedar.ts";

const MAX_QUESTIONS = 4096;

/** Answers by question. */
export class AnswerMemory {
  #answers = new Map<string, CedarAnswer>();
  /** Answers of the generation before: what is asked again moves over, the rest goes. */
  #older = new Map<string, CedarAnswer>();

  /** @param question  the whole of it, as text @param ask  what answers it; an answer that failed is not kept */
  answer(question: string, ask: () => CedarAnswer): CedarAnswer {
    const key = formatHex(sha256(formatUtf8(question)));
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const answer = this.#older.get(key) ?? ask();
    if (answer.type !== "failed") this.#keep(key, answer);
    return answer;
  }

  #keep(key: string, answer: CedarAnswer): void {
    if (this.#answers.size >= MAX_QUESTIONS) {
      this.#older = this.#answers;
      this.#answers = new Map();
    }
    this.#answers.set(key, answer);
  }
}
