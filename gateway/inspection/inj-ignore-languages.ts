/** `inj.ignore` in other languages: the same request in the tongues that published attacks use most. The list is partial. */

import { phrase, type WordRule } from "./word-rule.ts";

/** Setting instructions aside, by language. */
export const IGNORE_LANGUAGES: WordRule = {
  rule: "inj.ignore",
  patterns: [
    // Spanish, Portuguese, Italian
    phrase(
      "\\b(?:ignor[ae]|olvid[ae]|descart[ae]|omite|esque[cç]a|desconsidere|dimentica|trascura)r? (?:[a-zà-ÿ]{1,12} ){0,4}(?:instruc[ct]?i?[oó]n(?:es)?|instruç(?:ão|ões)|istruzioni|reglas|regras|regole|indicaciones|directrices|órdenes|ordens)",
    ),
    // French
    phrase(
      "\\b(?:ignore[rz]?|oublie[rz]?|négligez?) (?:[a-zà-ÿ']{1,12} ){0,4}(?:instructions?|consignes?|règles?|directives?)",
    ),
    // German
    phrase(
      "\\b(?:ignoriere?n?|vergiss|vergessen|missachte|umgehe) (?:sie )?(?:[a-zäöüß]{1,14} ){0,4}(?:anweisung(?:en)?|regeln?|vorgaben?|richtlinien?|instruktionen)",
    ),
    // Russian
    phrase(
      "(?:игнорируй(?:те)?|забудь(?:те)?|не обращай(?:те)? внимания на) (?:[а-яё]{1,14} ){0,4}(?:инструкци|указани|правил)",
    ),
    // Chinese
    /(?:忽略|无视|無視|忘记|忘記|不要理会)[^。.!！?？\n]{0,12}(?:指令|指示|提示|规则|規則|限制|设定|設定|要求|内容|內容|东西|東西)/gu,
    /(?:不受|没有|沒有)(?:任何)?(?:限制|约束|約束)/gu,
    /你(?:现在|現在)是(?:一个|一個)?新?的?(?:助手|人工智能|ai)/gu,
    // Japanese
    /(?:指示|命令|制限|ルール|規則|内容|メッセージ|プロンプト)(?:を|は)(?:すべて|全て)?(?:無視|忘れ)/gu,
    // Korean
    /(?:지시|명령|제한|규칙|내용|프롬프트)(?:를|을|은|는)? ?(?:모두 )?무시/gu,
  ],
};
