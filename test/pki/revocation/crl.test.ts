import { setImmediate as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { implicit, integer, sequence } from '../../../src/pki/der-writer.ts';
import { crlStatusOf, prepareCrl, readCrl } from '../../../src/pki/revocation/crl-status.ts';
import type { RevocationStatus } from '../../../src/pki/revocation/revocation-status.ts';
import { type LabCrl, labCrl, labEntry, labPoints, labScope, serialContent } from '../support/crl.ts';
import { type LabCertificate, labCertificate, labExtension, labKey, labLeaf, labRoot } from '../support/lab.ts';

const hour = 3_600_000;
const root = labRoot();
const leaf = labLeaf(root, { names: ['www.example.com'], serialNumber: serialContent(0x1234) });
const own = [{ serial: serialContent(0x1234), reason: 1 }];
const others = [{ serial: serialContent(0x1235) }, { serial: serialContent(0x34) }];

describe('a CRL', () => {
  test('that lists the certificate revokes it, with time and reason', () => {
    const since = Math.floor(Date.now() / 1_000) * 1_000 - hour;
    const status = statusWith({ revoked: [...others, { serial: serialContent(0x1234), since, reason: 1 }] });
    expect(status).toMatchObject({ kind: 'revoked', sinceMs: since, reason: 'keyCompromise' });
  });

  test('that does not list it says good until its next update', () => {
    const nextUpdate = Math.floor(Date.now() / 1_000) * 1_000 + hour;
    expect(statusWith({ revoked: others, nextUpdate })).toEqual({ kind: 'good', untilMs: nextUpdate });
    expect(statusWith({})).toMatchObject({ kind: 'good' });
  });

  test('tells a negative serial number from the same octets with a sign', () => {
    const positive = labLeaf(root, { names: ['a.example'], serialNumber: Buffer.from([0xff]) });
    const negative = { revoked: [{ serial: Buffer.from([0xff]) }] };
    expect(statusWith(negative, positive).kind).toBe('good');
    expect(statusWith({ revoked: [{ serial: Buffer.from([0x00, 0xff]) }] }, positive).kind).toBe('revoked');
  });

  test('of many entries finds each of them and no other', () => {
    const serials = Array.from({ length: 40_000 }, (_, index) => serialContent(index * 7 + 1));
    const rawEntries = Buffer.concat(serials.map((serial) => labEntry({ serial })));
    const crl = crlOf({ rawEntries });
    const statusOfSerial = (number: number): string =>
      statusIn(crl, labLeaf(root, { names: ['a.example'], serialNumber: serialContent(number) })).kind;
    expect([1, 8, 700, 279_994].map(statusOfSerial)).toEqual(['revoked', 'revoked', 'good', 'revoked']);
  });

  const critical = labExtension('1.2.3.4', true, sequence());
  const refused: readonly (readonly [string, LabCrl, string])[] = [
    ['out of date', { nextUpdate: Date.now() - hour }, 'CRL out of date'],
    ['of the future', { thisUpdate: Date.now() + hour }, 'CRL of the future'],
    ['without next update', { nextUpdate: null }, 'CRL without an end'],
    ['of version 1', { version: 1 }, 'CRL of version 1'],
    ['without a number', { number: null }, 'CRL without a number'],
    ['with a negative number', { number: Buffer.from([2, 1, 0x80]) }, 'CRL number out of range'],
    ['with an unknown critical extension', { extra: [critical] }, 'CRL with an unknown critical extension'],
    [
      'with an unknown critical entry extension',
      { revoked: [{ ...others[0], serial: serialContent(9), extra: [critical] }] },
      'CRL with an unknown critical entry extension',
    ],
    ['that is a delta', { extra: [labExtension('2.5.29.27', true, integer(3))] }, 'delta CRL'],
    ['that is indirect', { extra: [labScope([4])] }, 'indirect CRL'],
    ['for CAs only', { extra: [labScope([2])] }, 'CRL for other kinds of certificate'],
    ['for attribute certificates only', { extra: [labScope([5])] }, 'CRL for other kinds of certificate'],
    ['for some reasons only', { extra: [labScope([3])] }, 'CRL for some reasons only'],
    ['for another point', { extra: [labScope([], 'http://a.example/b.crl')] }, 'CRL for another distribution point'],
    ['signed by another key', { key: labKey() }, 'CRL not signed by the issuer'],
    ['signed with SHA-1', { hash: 'sha1' }, 'CRL not signed by the issuer'],
    ['of another issuer', { name: labRoot().name }, 'no CRL of the issuer'],
    ['with entries that are no DER', { rawEntries: Buffer.from('300402010117', 'hex') }, 'CRL malformed'],
  ];
  test.each(refused)('%s says nothing', (_, crl, detail) => {
    expect(statusWith(crl)).toEqual({ kind: 'unknown', detail });
  });

  test('for some reasons still revokes what it lists', () => {
    expect(statusWith({ revoked: own, extra: [labScope([3])] }).kind).toBe('revoked');
  });

  test('for the point that the certificate names is taken', () => {
    const url = 'http://ca.example/user.crl';
    const pointed = labLeaf(root, { names: ['www.example.com'], extra: [labPoints('http://x.example/', url)] });
    expect(statusWith({ extra: [labScope([1], url)] }, pointed).kind).toBe('good');
    expect(statusWith({ extra: [labScope([1], `${url}x`)] }, pointed).kind).toBe('unknown');
  });

  test('of a CA that may not sign CRLs says nothing', () => {
    const issuer = labRoot({ keyUsage: [5] });
    const certificate = labLeaf(issuer, { names: ['www.example.com'] });
    expect(statusIn(crlOf({}, issuer), certificate, issuer).kind).toBe('unknown');
  });

  test('of an own CRL key of the issuer is taken only when the caller vouches for that key', () => {
    const key = labKey();
    const signer = labCertificate(root, { keyUsage: [6], key, rawNames: [] });
    const named = { ...parseCertificate(signer.der), subject: root.name };
    const crl = crlOf({ revoked: own, key });
    const question = {
      certificate: parseCertificate(leaf.der),
      issuer: parseCertificate(root.der),
      crls: [crl],
      now: Date.now(),
    };
    expect(crlStatusOf(question).kind).toBe('unknown');
    expect(crlStatusOf({ ...question, crlSigners: [named] }).kind).toBe('revoked');
  });

  test('that is cut off anywhere or changed in any bit never revokes, never clears and never throws', () => {
    const der = labCrl(root, { revoked: own });
    for (let length = 0; length < der.length; length += 1) expect(readCrl(der.subarray(0, length))).toBeUndefined();
    for (let bit = 0; bit < der.length * 8; bit += 1) {
      const changed = Buffer.from(der);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const crl = readCrl(changed);
      if (crl !== undefined) expect(statusIn(crl, leaf).kind).toBe('unknown');
    }
  });

  test('of 10 MB is prepared in steps that leave the event loop free', async () => {
    const entry = labEntry({ serial: serialContent(0x7fffff01), reason: 4 });
    const serialAt = entry.indexOf(serialContent(0x7fffff01));
    const rawEntries = Buffer.alloc(Math.floor(9_900_000 / entry.length) * entry.length);
    for (let at = 0, number = 1; at < rawEntries.length; at += entry.length, number += 1) {
      entry.copy(rawEntries, at);
      rawEntries.writeUInt32BE(0x10000000 + number, at + serialAt);
    }
    const der = labCrl(root, { rawEntries });
    expect(der.length).toBeGreaterThan(9_800_000);
    let steps = 0;
    const step = (): Promise<void> => {
      steps += 1;
      return pause();
    };
    const crl = readCrl(der);
    if (crl === undefined) throw new Error('not read');
    await prepareCrl(crl, parseCertificate(root.der), step);
    const listed = labLeaf(root, { names: ['a.example'], serialNumber: serialContent(0x10000000 + 12_345) });
    expect(statusIn(crl, listed)).toMatchObject({ kind: 'revoked', reason: 'superseded' });
    expect(statusIn(crl, leaf).kind).toBe('good');
    expect(steps).toBeGreaterThan(20);
  });

  test('whose signed entries are malformed is found out while it is prepared', async () => {
    const crl = crlOf({ rawEntries: implicit(1, Buffer.alloc(30)) });
    await prepareCrl(crl, parseCertificate(root.der), () => pause());
    expect(statusIn(crl, leaf)).toEqual({ kind: 'unknown', detail: 'CRL malformed' });
  });
});

function crlOf(crl: LabCrl, issuer: LabCertificate = root) {
  const read = readCrl(labCrl(issuer, crl));
  if (read === undefined) throw new Error('the lab made no DER');
  return read;
}

function statusWith(crl: LabCrl, certificate: LabCertificate = leaf): RevocationStatus {
  return statusIn(crlOf(crl), certificate);
}

function statusIn(crl: ReturnType<typeof crlOf>, certificate: LabCertificate, issuer = root): RevocationStatus {
  return crlStatusOf({
    certificate: parseCertificate(certificate.der),
    issuer: parseCertificate(issuer.der),
    crls: [crl],
    now: Date.now(),
  });
}
