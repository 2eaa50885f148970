import { describe, expect, test } from 'vitest';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { octetString, oid, sequence, value } from '../../../src/pki/der-writer.ts';
import { ocspRequest } from '../../../src/pki/revocation/ocsp-request.ts';
import { ocspStatusOf } from '../../../src/pki/revocation/ocsp-status.ts';
import { hasProgram } from '../../support/run.ts';
import { serialContent } from '../support/crl.ts';
import { type LabCertificate, labCertificate, labExtension, labLeaf, labRoot } from '../support/lab.ts';
import { opensslAnswer } from '../support/openssl-ocsp.ts';

const day = 86_400_000;
const ocspSigning = '1.3.6.1.5.5.7.3.9';
const noCheck = labExtension('1.3.6.1.5.5.7.48.1.5', false, Buffer.from([5, 0]));

const root = labRoot();
const leaf = labLeaf(root, { names: ['www.example.com'], serialNumber: serialContent(0x1234) });
const revoked = labLeaf(root, { names: ['www.example.com'], serialNumber: serialContent(0x4567) });
const stranger = labLeaf(root, { names: ['www.example.com'], serialNumber: serialContent(0x999) });
const certificates = [{ certificate: leaf }, { certificate: revoked, revoked: 'keyCompromise' }];

describe.runIf(hasProgram('openssl'))('an answer of openssl ocsp', () => {
  test('says good, revoked with time and reason, or that it does not know', async () => {
    expect(await ask(leaf)).toMatchObject({ kind: 'good' });
    expect(await ask(revoked)).toMatchObject({
      kind: 'revoked',
      sinceMs: Date.UTC(2026, 0, 1),
      reason: 'keyCompromise',
    });
    expect(await ask(stranger)).toEqual({ kind: 'unknown', detail: 'responder does not know the certificate' });
  });

  test('is believed in its time alone', async () => {
    const response = await opensslAnswer({ issuer: root, certificates }, requestFor(leaf));
    const at = (now: number) => statusOf(leaf, response, now);
    expect(at(Date.now() + 6 * day).kind).toBe('good');
    expect(at(Date.now() + 8 * day)).toEqual({ kind: 'unknown', detail: 'OCSP answer out of date' });
    expect(at(Date.now() - day)).toEqual({ kind: 'unknown', detail: 'OCSP answer of the future' });
  });

  test('without an end is believed for an hour', async () => {
    const response = await opensslAnswer({ issuer: root, certificates }, requestFor(leaf), []);
    expect(statusOf(leaf, response, Date.now() + 3_000_000).kind).toBe('good');
    expect(statusOf(leaf, response, Date.now() + 3_700_000).kind).toBe('unknown');
  });

  test('for another certificate, or of another CA, says nothing', async () => {
    const response = await opensslAnswer({ issuer: root, certificates }, requestFor(leaf));
    expect(statusOf(revoked, response)).toEqual({ kind: 'unknown', detail: 'OCSP answer for another certificate' });
    const other = labRoot();
    const namesake = labLeaf(other, { names: ['www.example.com'], serialNumber: serialContent(0x1234) });
    expect(statusOf(namesake, response, Date.now(), other).kind).toBe('unknown');
  });

  test('that is cut off anywhere, or changed in any octet, says nothing', async () => {
    const response = await opensslAnswer({ issuer: root, certificates }, requestFor(leaf));
    const kinds = new Set<string>();
    for (let length = 0; length < response.length; length += 1) {
      kinds.add(statusOf(leaf, response.subarray(0, length)).kind);
      const changed = Buffer.from(response);
      changed[length] = (changed[length] ?? 0) ^ (1 << (length & 7));
      const status = statusOf(leaf, changed);
      // The certificates beside the answer are not signed; this one is the issuer's, which nobody needs.
      if (length < response.indexOf(root.der)) kinds.add(status.kind);
    }
    expect([...kinds]).toEqual(['unknown']);
  });
});

describe.runIf(hasProgram('openssl'))('a delegated signer', () => {
  const signers: readonly (readonly [string, LabCertificate, string])[] = [
    ['with its purpose and ocsp-nocheck', delegate({}), 'good'],
    ['without ocsp-nocheck', delegate({ extra: [] }), 'OCSP signer without ocsp-nocheck'],
    ['without its purpose', delegate({ purposes: [] }), 'OCSP signer without that purpose'],
    ['for servers', delegate({ purposes: ['1.3.6.1.5.5.7.3.1'] }), 'OCSP signer without that purpose'],
    ['that has expired', delegate({ notAfter: Date.now() - 60_000 }), 'OCSP signer out of date'],
    ['that may only encipher', delegate({ keyUsage: [2] }), 'OCSP signer that may not sign'],
    ['of another issuer', delegate({}, labRoot()), 'OCSP signer of another issuer'],
    [
      'of a namesake of the issuer',
      delegate({}, { ...labRoot(), name: root.name }),
      'OCSP signer not issued by the issuer',
    ],
    [
      'with an unknown critical extension',
      delegate({ extra: [noCheck, labExtension('1.2.3.4', true, sequence())] }),
      'OCSP signer with an unknown critical extension',
    ],
  ];
  test.each(signers)('%s', async (_, signer, expected) => {
    const response = await opensslAnswer({ issuer: root, signer, certificates }, requestFor(leaf));
    const status = statusOf(leaf, response);
    expect(status.kind === 'unknown' ? status.detail : status.kind).toBe(expected);
  });

  test('without ocsp-nocheck is believed when it revokes', async () => {
    const signer = delegate({ extra: [] });
    const response = await opensslAnswer({ issuer: root, signer, certificates }, requestFor(revoked));
    expect(statusOf(revoked, response).kind).toBe('revoked');
  });

  test('that the answer does not carry is not known', async () => {
    const args = ['-ndays', '7', '-resp_no_certs'];
    const response = await opensslAnswer({ issuer: root, signer: delegate({}), certificates }, requestFor(leaf), args);
    expect(statusOf(leaf, response)).toEqual({ kind: 'unknown', detail: 'OCSP answer of an unknown signer' });
  });

  test('named by its key is found', async () => {
    const args = ['-ndays', '7', '-resp_key_id'];
    const response = await opensslAnswer({ issuer: root, signer: delegate({}), certificates }, requestFor(leaf), args);
    expect(statusOf(leaf, response).kind).toBe('good');
  });
});

describe('what is no answer', () => {
  test.each([
    ['an error of the responder', sequence(value(0x0a, Buffer.of(3))), 'responder says tryLater'],
    ['a success without an answer', sequence(value(0x0a, Buffer.of(0))), 'OCSP answer malformed: no response bytes'],
    [
      'an answer of another type',
      sequence(value(0x0a, Buffer.of(0)), value(0xa0, sequence(oid('1.2.3'), octetString()))),
      'OCSP answer malformed: not a basic OCSP response',
    ],
    ['a web page', Buffer.from('<html></html>'), 'OCSP answer malformed: tag 3c where 30 belongs'],
    ['nothing', Buffer.alloc(0), 'OCSP answer malformed: ends too early'],
  ])('%s', (_, response, detail) => {
    expect(statusOf(leaf, response)).toEqual({ kind: 'unknown', detail });
  });
});

function delegate(subject: Parameters<typeof labCertificate>[1], issuer: LabCertificate = root): LabCertificate {
  return labCertificate(issuer, {
    commonName: 'Responder',
    purposes: [ocspSigning],
    keyUsage: [0],
    extra: [noCheck],
    notBefore: Date.now() - 7_200_000,
    ...subject,
  });
}

async function ask(certificate: LabCertificate) {
  return statusOf(certificate, await opensslAnswer({ issuer: root, certificates }, requestFor(certificate)));
}

function requestFor(certificate: LabCertificate): Buffer {
  return ocspRequest(parseCertificate(certificate.der), parseCertificate(root.der));
}

function statusOf(certificate: LabCertificate, response: Buffer, now = Date.now(), issuer = root) {
  return ocspStatusOf({
    certificate: parseCertificate(certificate.der),
    issuer: parseCertificate(issuer.der),
    response,
    now,
  });
}
