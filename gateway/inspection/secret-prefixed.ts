/** Keys and tokens that their issuers made recognisable: a prefix, an exact alphabet and length, sometimes a fixed infix. */

import type { FindingCode } from "../../kernel/receipt/findings.ts";
import { isPlaceholder } from "./entropy.ts";
import type { Hit } from "./hit.ts";

interface Form {
  readonly rule: FindingCode;
  /** Every token of this form has one of these in it: a text without them is not searched. */
  readonly marks: readonly string[];
  readonly pattern: RegExp;
  /** True for keys that open nothing of value. */
  readonly isTest?: (token: string) => boolean;
}

const FORMS: readonly Form[] = [
  {
    rule: "secret.aws-access-key",
    marks: ["AKIA", "ASIA"],
    pattern: /(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])/gu,
  },
  {
    rule: "secret.stripe-key",
    marks: ["sk_", "rk_"],
    pattern: /(?<![A-Za-z0-9_])(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{24,247}(?![A-Za-z0-9_])/gu,
    isTest: (token) => token.includes("_test_"),
  },
  {
    rule: "secret.slack-token",
    marks: ["xox"],
    pattern: /(?<![A-Za-z0-9_-])xox[abeprs]-(?:\d{1,13}-){1,3}[0-9A-Za-z]{16,64}(?![A-Za-z0-9-])/gu,
  },
  {
    rule: "secret.slack-token",
    marks: ["xapp-"],
    pattern: /(?<![A-Za-z0-9_-])xapp-\d-[A-Z0-9]{8,13}-\d{8,15}-[0-9a-f]{64}(?![0-9a-f])/gu,
  },
  {
    rule: "secret.google-api-key",
    marks: ["AIza"],
    pattern: /(?<![A-Za-z0-9_-])AIza[0-9A-Za-z_-]{35}(?![A-Za-z0-9_-])/gu,
  },
  {
    rule: "secret.openai-key",
    marks: ["T3BlbkFJ"],
    pattern:
      /(?<![A-Za-z0-9_-])sk-(?:[a-z]{4,12}-)?[A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100}(?![A-Za-z0-9_-])/gu,
  },
  {
    rule: "secret.anthropic-key",
    marks: ["sk-ant-"],
    pattern: /(?<![A-Za-z0-9_-])sk-ant-[a-z]{3,8}\d{2}-[A-Za-z0-9_-]{80,120}AA(?![A-Za-z0-9_-])/gu,
  },
  {
    rule: "secret.gitlab-token",
    marks: ["gl"],
    pattern:
      /(?<![A-Za-z0-9_-])gl(?:pat|dt|rt|rtr|ptt|cbt|ft|soat|agent|imt|oas|ffct)-[A-Za-z0-9_-]{20,64}(?:\.[0-9a-z]{2}\.[0-9a-z]{7,12})?(?![A-Za-z0-9_-])/gu,
  },
  {
    rule: "secret.huggingface-token",
    marks: ["hf_", "api_org_"],
    pattern: /(?<![A-Za-z0-9_])(?:hf|api_org)_[A-Za-z]{34}(?![A-Za-z0-9])/gu,
  },
];

/** Finds keys of AWS, Stripe, Slack, Google, OpenAI, Anthropic, GitLab and Hugging Face. */
export function findPrefixedSecrets(text: string): readonly Hit[] {
  return FORMS.filter(({ marks }) => marks.some((mark) => text.includes(mark))).flatMap(({ rule, pattern, isTest }) =>
    [...text.matchAll(pattern)]
      .filter(({ 0: token }) => !isPlaceholder(bodyOf(token)))
      .map(
        ({ 0: token, index }): Hit => ({
          rule,
          severity: isTest?.(token) === true ? "info" : "warn",
          start: index,
          end: index + token.length,
        }),
      ),
  );
}

/** What is random in a token: all behind its last fixed separator, or all of it. */
function bodyOf(token: string): string {
  return token.slice(4);
}
