import { type KeyObject, sign } from 'node:crypto';
import { tags } from '../../../src/pki/der-tags.ts';
import {
  explicit,
  implicit,
  integer,
  nothing,
  octetBits,
  oid,
  sequence,
  time,
  unsignedInteger,
  value,
} from '../../../src/pki/der-writer.ts';
import { type LabCertificate, labExtension } from './lab.ts';

/** What a CRL of the lab says; each part can break a rule. */
export interface LabCrl {
  readonly revoked?: readonly LabEntry[];
  /** Content of revokedCertificates, in place of `revoked`. */
  readonly rawEntries?: Buffer;
  readonly thisUpdate?: number;
  /** Null leaves it out. */
  readonly nextUpdate?: number | null;
  /** Null leaves the extension out. */
  readonly number?: Buffer | null;
  readonly extra?: readonly Buffer[];
  readonly version?: 1 | 2;
  readonly name?: Buffer;
  readonly key?: KeyObject;
  readonly hash?: 'sha1' | 'sha256';
}

export interface LabEntry {
  readonly serial: Buffer;
  readonly since?: number;
  readonly reason?: number;
  readonly extra?: readonly Buffer[];
}

const hour = 3_600_000;

/** A CRL of an issuer, in DER. */
export function labCrl(issuer: LabCertificate, crl: LabCrl = {}): Buffer {
  const now = Date.now();
  const { nextUpdate = now + 24 * hour, number = integer(7), extra = [], version = 2, key = issuer.key } = crl;
  const entries = crl.rawEntries ?? Buffer.concat((crl.revoked ?? []).map(labEntry));
  const extensions = [...(number === null ? [] : [labExtension('2.5.29.20', false, number)]), ...extra];
  const algorithm = algorithmOf(key, crl.hash ?? 'sha256');
  const signed = sequence(
    ...(version === 1 ? [] : [integer(1)]),
    algorithm,
    crl.name ?? issuer.name,
    time(crl.thisUpdate ?? now - hour),
    ...(nextUpdate === null ? [] : [time(nextUpdate)]),
    ...(entries.length === 0 ? [] : [sequence(entries)]),
    ...(version === 1 || extensions.length === 0 ? [] : [explicit(0, sequence(...extensions))]),
  );
  return sequence(signed, algorithm, octetBits(sign(crl.hash ?? 'sha256', signed, key)));
}

/** One entry of a CRL; the serial is the content of its INTEGER. */
export function labEntry({ serial, since = Date.now() - hour, reason, extra = [] }: LabEntry): Buffer {
  const extensions = [
    ...(reason === undefined ? [] : [labExtension('2.5.29.21', false, value(0x0a, Uint8Array.of(reason)))]),
    ...extra,
  ];
  return sequence(
    value(tags.integer, serial),
    time(since),
    ...(extensions.length === 0 ? [] : [sequence(...extensions)]),
  );
}

/** issuingDistributionPoint with the flags of these numbers, for a point of this URL if any. */
export function labScope(flags: readonly number[], url?: string): Buffer {
  const point = url === undefined ? [] : [explicit(0, explicit(0, uriName(url)))];
  return labExtension(
    '2.5.29.28',
    true,
    sequence(...point, ...flags.map((number) => implicit(number, Uint8Array.of(number === 3 ? 0x00 : 0xff)))),
  );
}

/** cRLDistributionPoints with one URL for each point. */
export function labPoints(...urls: readonly string[]): Buffer {
  const points = urls.map((url) => sequence(explicit(0, explicit(0, uriName(url)))));
  return labExtension('2.5.29.31', false, sequence(...points));
}

/** authorityInfoAccess with the URLs of OCSP responders. */
export function labResponders(...urls: readonly string[]): Buffer {
  const responders = urls.map((url) => sequence(oid('1.3.6.1.5.5.7.48.1'), uriName(url)));
  return labExtension('1.3.6.1.5.5.7.1.1', false, sequence(...responders));
}

/** tlsfeature with status_request: the origin must staple (RFC 7633). */
export function labMustStaple(): Buffer {
  return labExtension('1.3.6.1.5.5.7.1.24', false, sequence(integer(5)));
}

/** Content of a serial number's INTEGER. */
export function serialContent(number: number): Buffer {
  return unsignedInteger(Buffer.from(number.toString(16).padStart(8, '0'), 'hex')).subarray(2);
}

function uriName(url: string): Buffer {
  return implicit(6, Buffer.from(url, 'latin1'));
}

function algorithmOf(key: KeyObject, hash: 'sha1' | 'sha256'): Buffer {
  if (key.asymmetricKeyType === 'ec')
    return sequence(oid(hash === 'sha1' ? '1.2.840.10045.4.1' : '1.2.840.10045.4.3.2'));
  return sequence(oid(hash === 'sha1' ? '1.2.840.113549.1.1.5' : '1.2.840.113549.1.1.11'), nothing());
}
