import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseCertificate } from '../../src/pki/certificate.ts';
import { ocspRequest } from '../../src/pki/revocation/ocsp-request.ts';
import { type LabEntry, labCrl, labMustStaple, labPoints, labResponders } from '../pki/support/crl.ts';
import {
  type LabCertificate,
  type LabSubject,
  labCertificate,
  labExtension,
  labLeaf,
  labRoot,
} from '../pki/support/lab.ts';
import { type OcspResponder, opensslAnswer, startOpensslResponder } from '../pki/support/openssl-ocsp.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { type Heard, talk } from '../support/raw-client.ts';
import { failureOf, gatewayField, isFlow } from '../support/record-fields.ts';
import { hasProgram } from '../support/run.ts';

/** Long enough to need a way to be revoked. */
const notAfter = Date.now() + 90 * 86_400_000;
const day = 86_400_000;

const ports = { gateway: 0, ocsp: 0, crl: 0, silent: 0 };
let root: LabCertificate;
let gateway: RunningGateway;
let responder: OcspResponder;
let nginx: Nginx;
const origins = new Map<string, TestOrigin>();

describe.runIf(hasProgram('openssl') && hasProgram('nginx'))('a gateway before origins that may be revoked', () => {
  beforeAll(async () => {
    for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
    root = labRoot({ notAfter: Date.now() + 900 * day });
    nginx = await startNginx({ cert: root.pem, key: root.keyPem }, `listen 127.0.0.1:${ports.crl};`);
    await startOrigins();
    gateway = await startGateway({
      files: { 'root.pem': root.pem },
      config: {
        listeners: [{ mode: 'explicit', listen: `127.0.0.1:${ports.gateway}` }],
        originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
        revocation: {
          mode: 'soft-fail',
          timeout: '8s',
          directory: '$DIRECTORY/revocation',
          allowAddresses: ['127.0.0.0/8'],
          overrides: [
            { hosts: ['*.hard.example'], mode: 'hard-fail' },
            { hosts: ['*.off.example'], mode: 'off' },
          ],
        },
      },
    });
  }, 60_000);

  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await responder?.[Symbol.asyncDispose]();
    await nginx?.[Symbol.asyncDispose]();
    for (const origin of origins.values()) await origin[Symbol.asyncDispose]();
  });

  const outcomes: readonly (readonly [string, string | undefined, object | undefined])[] = [
    ['good-ocsp.hard.example', undefined, { status: 'good', source: 'ocsp' }],
    ['revoked-ocsp.example', 'ORIGIN_CERT_REVOKED', { status: 'revoked', source: 'ocsp' }],
    ['good-crl.hard.example', undefined, { status: 'good', source: 'crl' }],
    ['revoked-crl.example', 'ORIGIN_CERT_REVOKED', { status: 'revoked', source: 'crl' }],
    ['below-revoked.example', 'ORIGIN_CERT_REVOKED', { status: 'revoked', source: 'crl' }],
    ['crossed.example', undefined, { status: 'good', source: 'crl', detail: expect.stringContaining('another path') }],
    ['crossed.hard.example', undefined, { status: 'good', detail: expect.stringContaining('issuer 1 above the leaf') }],
    ['crossed-thrice.example', undefined, { status: 'good', source: 'crl' }],
    ['crossed-often.example', 'ORIGIN_CERT_REVOKED', { status: 'revoked', source: 'crl' }],
    ['crossed-in-vain.example', 'ORIGIN_CERT_REVOKED', { status: 'revoked', source: 'crl' }],
    ['crossed-but-revoked.example', 'ORIGIN_CERT_REVOKED', { status: 'revoked', source: 'crl' }],
    ['unreachable.example', undefined, { status: 'unknown' }],
    ['unreachable.hard.example', 'ORIGIN_REVOCATION_UNKNOWN', { status: 'unknown' }],
    ['below-unreachable.example', undefined, { status: 'unknown', detail: expect.stringContaining('above the leaf') }],
    ['below-unreachable.hard.example', 'ORIGIN_REVOCATION_UNKNOWN', { status: 'unknown' }],
    ['no-pointers.example', undefined, { status: 'unknown', source: 'none' }],
    ['no-pointers.hard.example', 'ORIGIN_REVOCATION_UNKNOWN', { status: 'unknown', source: 'none' }],
    ['short-lived.hard.example', undefined, { status: 'good', source: 'exempt' }],
    ['stapled.hard.example', undefined, { status: 'good', source: 'staple' }],
    ['stapled-revoked.example', 'ORIGIN_CERT_REVOKED', { status: 'revoked', source: 'staple' }],
    ['staple-of-another.example', undefined, { status: 'unknown', source: 'none' }],
    ['must-staple.example', 'ORIGIN_REVOCATION_UNKNOWN', { status: 'unknown', source: 'staple' }],
    ['must-staple-stapled.example', undefined, { status: 'good', source: 'staple' }],
    ['revoked-crl.off.example', undefined, undefined],
  ];
  test.each(outcomes)('%s: %s', async (name, code, outcome) => {
    const heard = await get(name);
    const origin = origins.get(name);
    if (code === undefined) expect(heard.text).toContain('200 OK');
    else {
      expect(heard.error).toMatch(/ALERT/);
      expect(origin?.bytesReceived()).toBe(0);
    }
    const flows = await gateway.waitForRecords('traffic', (lines) => lines.some((line) => flowOf(line, name)));
    const flow = flows.find((line) => flowOf(line, name)) ?? {};
    expect(failureOf(flow)).toBe(code);
    const found = gatewayField(flow, 'origin_revocation');
    if (outcome === undefined) expect(found).toBeUndefined();
    else expect(found).toMatchObject(outcome);
  });

  test('the alert says that the certificate is revoked', async () => {
    expect((await get('revoked-ocsp.example')).error).toContain('CERTIFICATE_REVOKED');
  });

  test('an answer once had is not asked for again, and outlives its responder', async () => {
    const asked = (): number => nginx.log().filter((line) => line.includes('/root.crl')).length;
    const before = asked();
    expect(before).toBeGreaterThan(0);
    expect((await get('good-crl.hard.example')).text).toContain('200 OK');
    await responder[Symbol.asyncDispose]();
    expect((await get('good-ocsp.hard.example')).text).toContain('200 OK');
    expect(asked()).toBe(before);
  });
});

function flowOf(line: Record<string, unknown>, name: string): boolean {
  return isFlow(line) && JSON.stringify(line).includes(`"sni":"${name}"`);
}

function get(name: string): Promise<Heard> {
  const port = origins.get(name)?.port ?? 0;
  return talk(ports.gateway, {
    before: `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`,
    until: '\r\n\r\n',
    tls: { servername: name },
    say: `GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`,
  });
}

async function startOrigins(): Promise<void> {
  const byOcsp = labResponders(`http://127.0.0.1:${ports.ocsp}/`);
  const byCrl = labPoints(`http://127.0.0.1:${ports.crl}/root.crl`);
  const intermediateCrl = labPoints(`http://127.0.0.1:${ports.crl}/intermediate.crl`);
  const nobody = labResponders(`http://127.0.0.1:${ports.silent}/`);
  const leaf = (name: string, extra: readonly Buffer[], issuer = root): LabCertificate =>
    labLeaf(issuer, { names: [name], notAfter, extra });
  const revokedCa = labCertificate(root, { ...caSubject('Revoked CA'), extra: [byCrl] });

  const revoked = leaf('revoked-ocsp.example', [byOcsp]);
  const good = leaf('good-ocsp.hard.example', [byOcsp]);
  await serve('good-ocsp.hard.example', good);
  await serve('revoked-ocsp.example', revoked);
  await serve('good-crl.hard.example', leaf('good-crl.hard.example', [byCrl]));
  const listed = leaf('revoked-crl.example', [byCrl]);
  await serve('revoked-crl.example', listed);
  const off = leaf('revoked-crl.off.example', [byCrl]);
  await serve('revoked-crl.off.example', off);
  await serve('below-revoked.example', leaf('below-revoked.example', [intermediateCrl], revokedCa), [revokedCa]);
  const crossed = await serveCrossed(byCrl, leaf);
  for (const name of ['unreachable.example', 'unreachable.hard.example']) await serve(name, leaf(name, [nobody]));
  const unreachableCa = labCertificate(root, { ...caSubject('Unreachable CA'), extra: [nobody] });
  const reachable = labPoints(`http://127.0.0.1:${ports.crl}/below-unreachable.crl`);
  for (const name of ['below-unreachable.example', 'below-unreachable.hard.example'])
    await serve(name, leaf(name, [reachable], unreachableCa), [unreachableCa]);
  for (const name of ['no-pointers.example', 'no-pointers.hard.example']) await serve(name, leaf(name, []));
  await serve('short-lived.hard.example', labLeaf(root, { names: ['short-lived.hard.example'], extra: [] }));

  const stapled = leaf('stapled.hard.example', [nobody]);
  const signer = labCertificate(root, {
    commonName: 'Responder',
    purposes: ['1.3.6.1.5.5.7.3.9'],
    keyUsage: [0],
    extra: [labExtension('1.3.6.1.5.5.7.48.1.5', false, Buffer.from([5, 0]))],
  });
  const staple = (certificate: LabCertificate, reason?: string): Promise<Buffer> =>
    opensslAnswer(
      { issuer: root, signer, certificates: [{ certificate, ...(reason === undefined ? {} : { revoked: reason }) }] },
      ocspRequest(parseCertificate(certificate.der), parseCertificate(root.der)),
    );
  await serve('stapled.hard.example', stapled, [], await staple(stapled));
  const stapledRevoked = leaf('stapled-revoked.example', [nobody]);
  await serve('stapled-revoked.example', stapledRevoked, [], await staple(stapledRevoked, 'superseded'));
  const other = leaf('staple-of-another.example', []);
  await serve('staple-of-another.example', other, [], await staple(stapled));
  const must = leaf('must-staple.example', [labMustStaple(), byOcsp]);
  await serve('must-staple.example', must);
  const mustAndDoes = leaf('must-staple-stapled.example', [labMustStaple(), byOcsp]);
  await serve('must-staple-stapled.example', mustAndDoes, [], await staple(mustAndDoes));

  const crl = labCrl(root, {
    revoked: [listed, off, revokedCa, ...crossed].map(entryOf),
  });
  writeFileSync(join(nginx.root, 'root.crl'), crl);
  writeFileSync(join(nginx.root, 'intermediate.crl'), labCrl(revokedCa));
  writeFileSync(join(nginx.root, 'below-unreachable.crl'), labCrl(unreachableCa));
  responder = await startOpensslResponder(ports.ocsp, {
    issuer: root,
    signer,
    certificates: [{ certificate: good }, { certificate: must }, { certificate: revoked, revoked: 'keyCompromise' }],
  });
}

function caSubject(commonName: string): LabSubject {
  return { commonName, ca: true, keyUsage: [5, 6], notAfter: Date.now() + 900 * day };
}

function entryOf({ der }: LabCertificate): LabEntry {
  return { serial: parseCertificate(der).serialOctets, reason: 1 };
}

/** Origins below CAs that have several certificates for one key. Returns those to be revoked by the root. */
async function serveCrossed(
  byCrl: Buffer,
  leaf: (name: string, extra: readonly Buffer[], issuer: LabCertificate) => LabCertificate,
): Promise<readonly LabCertificate[]> {
  const first = labCertificate(root, { ...caSubject('Crossed CA'), extra: [byCrl] });
  const more = Array.from({ length: 5 }, () =>
    labCertificate(root, { ...caSubject('Crossed CA'), key: first.key, extra: [byCrl] }),
  );
  const [good = first, ...revoked] = more;
  const point = labPoints(`http://127.0.0.1:${ports.crl}/crossed.crl`);
  const serveBelow = async (name: string, chain: readonly LabCertificate[]): Promise<LabCertificate> => {
    const made = leaf(name, [point], first);
    await serve(name, made, chain);
    return made;
  };
  await serveBelow('crossed.example', [first, good]);
  await serveBelow('crossed.hard.example', [first, good]);
  await serveBelow('crossed-thrice.example', [first, ...revoked.slice(0, 2), good]);
  await serveBelow('crossed-often.example', [first, ...revoked, good]);
  await serveBelow('crossed-in-vain.example', [first, ...revoked.slice(0, 1)]);
  const listed = await serveBelow('crossed-but-revoked.example', [good, first]);
  writeFileSync(join(nginx.root, 'crossed.crl'), labCrl(first, { revoked: [entryOf(listed)] }));
  return [first, ...revoked];
}

async function serve(
  name: string,
  leaf: LabCertificate,
  chain: readonly LabCertificate[] = [],
  staple?: Buffer,
): Promise<void> {
  const credentials = { cert: [leaf, ...chain].map(({ pem }) => pem).join(''), key: leaf.keyPem };
  const origin = await startOrigin(credentials);
  origins.set(name, origin);
  if (staple !== undefined) origin.staple(staple);
}
