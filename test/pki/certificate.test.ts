import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { certificateFactsOf } from '../../src/pki/certificate-facts.ts';
import { DerError } from '../../src/pki/der-reader.ts';
import { explicit, oid, sequence, setOf, utf8String, value } from '../../src/pki/der-writer.ts';
import { distinguishedNameText } from '../../src/pki/distinguished-name.ts';
import { subjectAltNamesOf } from '../../src/pki/extensions.ts';
import { dnsName, ipName, labCertificate, labExtension, labLeaf, labRoot, printable } from './support/lab.ts';

const root = labRoot({ commonName: 'Lab root' });
const leaf = labLeaf(root, {
  commonName: 'www.example.com',
  names: ['www.Example.com', '*.example.com', Buffer.from([10, 0, 0, 1]), Buffer.alloc(16, 0x20)],
});

describe('parsing', () => {
  test('reads what OpenSSL reads', () => {
    for (const { x509, der } of [root, leaf]) {
      const certificate = parseCertificate(der);
      expect(certificate.serialNumber).toBe(x509.serialNumber);
      expect(certificate.notBefore).toBe(x509.validFromDate.getTime());
      expect(certificate.notAfter).toBe(x509.validToDate.getTime());
      expect(certificate.publicKey.whole).toEqual(x509.publicKey.export({ type: 'spki', format: 'der' }));
      expect(certificate.version).toBe(3);
    }
  });

  test('refuses a certificate that ends at any earlier byte', () => {
    for (let length = 0; length < leaf.der.length; length++) {
      expect(() => parseCertificate(leaf.der.subarray(0, length))).toThrow(DerError);
    }
  });

  test('throws nothing but DerError whatever is changed in it', () => {
    fc.assert(
      fc.property(fc.nat(leaf.der.length - 1), fc.nat(255), (at, octet) => {
        const changed = Buffer.from(leaf.der);
        changed[at] = octet;
        try {
          subjectAltNamesOf(parseCertificate(changed).extensions);
        } catch (error) {
          expect(error).toBeInstanceOf(DerError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('refuses the same extension twice', () => {
    const twice = labLeaf(root, {
      names: ['a.example'],
      extra: [labExtension('2.5.29.17', false, sequence(dnsName('b.example')))],
    });
    expect(() => parseCertificate(twice.der)).toThrow('twice');
  });
});

describe('facts', () => {
  test('hold names, dates, serial number and fingerprint', () => {
    const facts = certificateFactsOf(leaf.x509);
    expect(facts).toEqual({
      subject: 'CN=www.example.com',
      issuer: 'CN=Lab root',
      serialNumber: leaf.x509.serialNumber,
      fingerprint256: leaf.x509.fingerprint256.replaceAll(':', '').toLowerCase(),
      notBefore: leaf.x509.validFromDate.getTime(),
      notAfter: leaf.x509.validToDate.getTime(),
      names: [
        { kind: 'dns', value: 'www.example.com' },
        { kind: 'dns', value: '*.example.com' },
        { kind: 'ip', value: '10.0.0.1' },
        { kind: 'ip', value: '2020:2020:2020:2020:2020:2020:2020:2020' },
      ],
      selfSigned: false,
    });
    expect(certificateFactsOf(root.x509).selfSigned).toBe(true);
    expect(certificateFactsOf(`${leaf.pem}${root.pem}`)).toBe(certificateFactsOf(new X509Certificate(leaf.der)));
  });

  test('hold no name that a comma, NUL or wildcard smuggles in (CVE-2021-44532)', () => {
    const hostile = labLeaf(root, {
      rawNames: [
        dnsName('evil.example, DNS:good.example'),
        dnsName('good.example\0.evil.example'),
        dnsName('*.com'),
        dnsName(Buffer.from('b\u00fccher.example', 'latin1')),
        ipName(Buffer.from([1, 2, 3])),
        value(0x86, Buffer.from('https://good.example/')),
        value(0x81, Buffer.from('a@good.example')),
        explicit(0, oid('1.3.6.1.4.1.311.20.2.3'), explicit(0, utf8String('good.example'))),
        dnsName('fine.example'),
      ],
    });
    expect(certificateFactsOf(hostile.x509).names).toEqual([{ kind: 'dns', value: 'fine.example' }]);
  });

  test('are given for a certificate that is not DER too', () => {
    const malformed = labLeaf(root, { extra: [labExtension('2.5.29.17', false, Buffer.from('garbage'))] });
    const facts = certificateFactsOf(malformed.x509);
    expect(facts.names).toEqual([]);
    expect(facts.notAfter).toBe(malformed.x509.validToDate.getTime());
  });
});

describe('distinguished names', () => {
  const attribute = (type: string, content: Buffer): Buffer => setOf(sequence(oid(type), content));

  test('are written as RFC 4514 does, specials and control characters escaped', () => {
    const name = sequence(
      attribute('2.5.4.6', printable('DE')),
      attribute('2.5.4.10', utf8String('Comma, "Quote" & Söhne\n')),
      setOf(sequence(oid('2.5.4.3'), utf8String('#a')), sequence(oid('2.5.4.11'), utf8String(' b '))),
      attribute('1.2.3.4', utf8String('x')),
    );
    expect(distinguishedNameText(name)).toBe(
      '1.2.3.4=#0c0178,CN=\\#a+OU=\\ b\\ ,O=Comma\\, \\"Quote\\" & Söhne\\0a,C=DE',
    );
  });

  test('are cut when they are hostile in length', () => {
    const long = labCertificate(undefined, { commonName: 'x'.repeat(5_000) });
    expect(certificateFactsOf(long.x509).subject.length).toBeLessThan(1_100);
  });
});
