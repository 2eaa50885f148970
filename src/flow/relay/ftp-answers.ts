import type { FailureCode } from '../../core/failures.ts';
import { type FilesMoment, filesReply } from '../../core/files-failures.ts';
import type { RuleRef } from '../../core/verdict.ts';

/** What the gateway says itself, with the failure code or the rule for whoever reads it. */
export const ftpAnswers = {
  badCommand: '500 Not a command',
  notPassed: '502 The gateway does not pass this command on',
  notThisParameter: '504 The gateway does not pass this parameter on',
  noDataPort: '425 Use PASV, EPSV, PORT or EPRT first',
  noClear: '533 The gateway keeps the control connection protected',
  noSuchProtection: '536 The gateway passes PROT C and PROT P alone',
  needsTls: '530 POLICY_TLS_REQUIRED Use AUTH TLS first',
  needsProtection: '503 Use PROT first',
  needsProtectedData: '522 POLICY_TLS_REQUIRED Use PROT P first',
  blocked: ({ id }: RuleRef): string => `550 POLICY_RULE_BLOCK ${printable(id)}`,
  refused: (code: number, failure: FailureCode, detail: string): string => `${code} ${failure} ${printable(detail)}`,
  failed: (moment: FilesMoment, failure: FailureCode, detail: string): string =>
    `${filesReply(moment, failure)} ${failure} ${printable(detail)}`,
} as const;

/** One line, whatever a detail quotes. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '.').slice(0, 400);
}
