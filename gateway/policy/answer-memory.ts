/**
 * What the engine said of questions that were asked before. An answer depends on nothing but the question and the policies, so a
 * memory belongs to one prepared slice of one bundle and goes with it; equal means equal in every byte.
 */

import type { CedarAnswer } from "./cedar.ts";

const MAX_QUESTIONS = 512;
/** Longer questions are asked each time: they hold arguments, which hardly come twice. */
const MAX_QUESTION_LENGTH = 4096;

/** Answers by question. */
export class AnswerMemory {
  #answers = new Map<string, CedarAnswer>();
  /** Answers of the generation before: what is asked again moves over, the rest goes. */
  #older = new Map<string, CedarAnswer>();

  /** @param question  the whole of it, as text @param ask  what answers it; an answer that failed is not kept */
  answer(question: string, ask: () => CedarAnswer): CedarAnswer {
    const known = this.#answers.get(question);
    if (known !== undefined) return known;
    const answer = this.#older.get(question) ?? ask();
    if (answer.type !== "failed" && question.length <= MAX_QUESTION_LENGTH) this.#keep(question, answer);
    return answer;
  }

  #keep(question: string, answer: CedarAnswer): void {
    if (this.#answers.size >= MAX_QUESTIONS) {
      this.#older = this.#answers;
      this.#answers = new Map();
    }
    this.#answers.set(question, answer);
  }
}
