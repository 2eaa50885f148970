import { readAuthorityCertificates } from '../pki/authority-files.ts';
import { auditIssuanceLog, type IssuanceAudit } from '../pki/issuance-log.ts';
import { parseSeal, readSeal, type SealReading } from '../pki/issuance-seal.ts';
import { readNamedFile } from '../pki/private-files.ts';

/** What an audit of the issuance log found. */
export interface AuditReport {
  readonly lines: number;
  /** ISO 8601: when the authority last signed the state of the log. */
  readonly sealedAt: string | undefined;
  /** Lines behind the seal, which nothing but the chain protects yet. */
  readonly unsealed: number;
  /** What is wrong; undefined when nothing is. */
  readonly fault: string | undefined;
}

/** Follows the chain of the issuance log and holds its end against the seal, or against one that was kept elsewhere. */
export async function auditIssuance(directory: string, sealFile: string | undefined): Promise<AuditReport> {
  const certificates = await readAuthorityCertificates(directory);
  const reading =
    sealFile === undefined
      ? await readSeal(directory, certificates)
      : parseSeal((await readNamedFile(sealFile)).toString('utf8'), certificates);
  const audit = await auditIssuanceLog(directory, reading.kind === 'sealed' ? reading.seal.head : undefined);
  return {
    lines: audit.lines,
    sealedAt: reading.kind === 'sealed' ? reading.seal.time : undefined,
    unsealed: audit.lines - (audit.foundAt ?? 0),
    fault: faultOf(audit, reading),
  };
}

function faultOf({ lines, brokenAt, foundAt }: IssuanceAudit, reading: SealReading): string | undefined {
  if (brokenAt !== undefined) {
    return `line ${brokenAt} does not follow from the one before it: the log was changed or cut`;
  }
  switch (reading.kind) {
    case 'missing':
      return lines === 0
        ? undefined
        : 'there is no seal: it was removed, or no gateway has run since seals are written';
    case 'forged':
      return reading.detail;
    case 'sealed':
      return foundAt === undefined ? 'the sealed line is not in the log: lines were cut off its end' : undefined;
  }
}
