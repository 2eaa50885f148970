import { commonNameOnly } from '../../pki/certificate-writer.ts';
import { alternativeNames, farmAddress, farmDomain, taggedName } from '../farm.ts';
import { type BadRow, badOrigins } from '../origin-case.ts';

const host = `name.${farmDomain}`;
const mismatch = ['ORIGIN_CERT_NAME_MISMATCH', 'ORIGIN_CERT_INVALID'] as const;

/** A leaf whose subject names the host, and whose alternative names do not. */
const subjectOnly =
  (name: string, names: readonly (string | Buffer)[] | undefined): BadRow[3] =>
  (farm) =>
    farm.leaf({
      subject: commonNameOnly(name),
      extensions: { subjectAltName: names === undefined ? undefined : alternativeNames(...names) },
    });
const showing =
  (...names: readonly (string | Buffer)[]): BadRow[3] =>
  (farm) =>
    farm.leaf({ subject: commonNameOnly('Origin'), names });

const rows: readonly BadRow[] = [
  ['another host', mismatch, host, showing(`other.${farmDomain}`)],
  ['common name only', mismatch, host, subjectOnly(host, undefined)],
  ['common name beside empty alternative names', mismatch, host, subjectOnly(host, [])],
  ['common name beside another host', mismatch, host, subjectOnly(host, [`other.${farmDomain}`])],
  ['common name beside an address', mismatch, host, subjectOnly(host, [farmAddress])],
  ['common name beside a mail address', mismatch, host, subjectOnly(host, [taggedName(1, `root@${host}`)])],
  ['wildcard in the common name', mismatch, host, subjectOnly(`*.${farmDomain}`, undefined)],
  ['address in the common name', mismatch, farmAddress, subjectOnly(farmAddress, undefined)],
  ['address as a host name', mismatch, farmAddress, showing(taggedName(2, farmAddress))],
  ['another address', mismatch, farmAddress, showing('127.0.0.2')],
  ['address as text in an address', mismatch, farmAddress, showing(taggedName(7, farmAddress))],
  ['host in a mail address', mismatch, host, showing(taggedName(1, host))],
  ['host in a URI', mismatch, host, showing(taggedName(6, `https://${host}/`))],
  ['host in a directory name', mismatch, host, showing(directoryName(host))],
  ['partial wildcard at the end', mismatch, host, showing(`n*.${farmDomain}`)],
  ['partial wildcard at the begin', mismatch, host, showing(`*e.${farmDomain}`)],
  ['wildcard in an A-label', mismatch, `xn--nme-hoa.${farmDomain}`, showing(`xn--*.${farmDomain}`)],
  ['wildcard not in the left-most label', mismatch, `a.b.${farmDomain}`, showing(`a.*.${farmDomain}`)],
  ['two wildcards', mismatch, `a.b.${farmDomain}`, showing(`*.*.${farmDomain}`)],
  ['wildcard over two labels', mismatch, `a.b.${farmDomain}`, showing(`*.${farmDomain}`)],
  ['wildcard for its own base', mismatch, farmDomain, showing(`*.${farmDomain}`)],
  ['wildcard alone', mismatch, host, showing('*')],
  ['wildcard over a top-level domain', mismatch, 'daylight-selftest.com', showing('*.com')],
  ['wildcard over a public suffix', mismatch, 'daylight-selftest.co.uk', showing('*.co.uk')],
  ['host with a leading dot', mismatch, host, showing(`.${farmDomain}`)],
  ['host with blanks', mismatch, host, showing(` ${host} `)],
  ['host before a NUL', mismatch, host, showing(`${host}\0.attacker.invalid`)],
  ['two hosts in one name', mismatch, host, showing(`attacker.invalid, DNS:${host}`)],
  ['host in Unicode', mismatch, `xn--nme-hoa.${farmDomain}`, showing(taggedName(2, Buffer.from(`näme.${farmDomain}`)))],
];

/** Certificates that somebody else may rightly hold. */
export const nameCases = badOrigins('names', 'F', rows);

function directoryName(commonName: string): Buffer {
  // An EXPLICIT tag, for a name is a CHOICE (X.680 section 31.2.7).
  const name = commonNameOnly(commonName);
  return Buffer.concat([Buffer.of(0xa4, name.length), name]);
}
