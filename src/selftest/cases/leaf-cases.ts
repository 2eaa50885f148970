import { extension, keyUsageExtension } from '../../pki/certificate-writer.ts';
import { nothing, octetString } from '../../pki/der-writer.ts';
import type { keyUsageBits } from '../../pki/extensions.ts';
import { oids } from '../../pki/oids.ts';
import { alternativeNames, authority, farmDomain, nameConstraints, purposes, type Wishes } from '../farm.ts';
import { type BadRow, badOrigins } from '../origin-case.ts';

const host = `leaf.${farmDomain}`;
const names = [host];
const broken = ['ORIGIN_CERT_INVALID'] as const;
/** What cannot be read has no issuer either. */
const unread = ['ORIGIN_CERT_INVALID', 'ORIGIN_CERT_UNTRUSTED'] as const;
const purpose = ['ORIGIN_CERT_PURPOSE', 'ORIGIN_CERT_INVALID'] as const;

type KeyUsage = keyof typeof keyUsageBits;

const leaf =
  (wishes: Wishes): BadRow[3] =>
  (farm) =>
    farm.leaf({ names, ...wishes });
const extended = (extensions: NonNullable<Wishes['extensions']>): BadRow[3] => leaf({ extensions });
const usage = (...bits: readonly KeyUsage[]): BadRow[3] => extended({ keyUsage: keyUsageExtension(...bits) });
const forPurpose = (identifier: string): BadRow[3] => extended({ extendedKeyUsage: purposes(identifier) });

const unknownCritical = extension('1.3.6.1.4.1.55555.1', true, nothing());
const notNames = extension(oids.subjectAltName, false, octetString(Buffer.from(host)));

const rows: readonly BadRow[] = [
  ['leaf that is a CA', ['ORIGIN_CERT_PURPOSE'], host, extended({ basicConstraints: authority() })],
  ['leaf that may sign certificates', ['ORIGIN_CERT_PURPOSE'], host, usage('digitalSignature', 'keyCertSign')],
  ['leaf key for revocation lists', purpose, host, usage('crlSign')],
  ['leaf of X.509 v1', [...broken, 'ORIGIN_CERT_NAME_MISMATCH'], host, leaf({ version: 1 })],
  ['leaf for clients only', purpose, host, forPurpose('1.3.6.1.5.5.7.3.2')],
  ['leaf for signing code', purpose, host, forPurpose('1.3.6.1.5.5.7.3.3')],
  ['leaf for any purpose', purpose, host, forPurpose(oids.anyExtendedKeyUsage)],
  ['name constraints in a leaf', broken, host, extended({ more: nameConstraints({ permitted: [farmDomain] }) })],
  ['unknown critical extension in the leaf', broken, host, extended({ more: unknownCritical })],
  ['the same extension twice', unread, host, extended({ more: alternativeNames(host) })],
  ['malformed subjectAltName', unread, host, extended({ subjectAltName: notNames })],
];

/** Browsers take it, and nobody can pose as somebody else with it. */
const looseRows: readonly BadRow[] = [
  ['leaf without extended key usage', ['ORIGIN_CERT_PURPOSE'], host, extended({ extendedKeyUsage: undefined })],
];

/** Certificates that may not be what they are used as. */
export const leafCases = [...badOrigins('chain', 'F', rows), ...badOrigins('chain', 'B', looseRows)];
