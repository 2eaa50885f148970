import { fork } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createSecureContext } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { RevocationFinding } from '../src/core/revocation.ts';
import { openOriginLeg } from '../src/flow/origin-leg.ts';
import { type AskRevocation, revocationOf } from '../src/flow/origin-revocation.ts';
import {
  authorityKeyExtension,
  basicConstraintsExtension,
  commonNameOnly,
  extension,
  freshSerialNumber,
  keyIdentifierOf,
  keyUsageExtension,
  signCertificate,
  subjectKeyExtension,
} from '../src/pki/certificate-writer.ts';
import { explicit, implicit, oid, sequence } from '../src/pki/der-writer.ts';
import { oids } from '../src/pki/oids.ts';
import { OriginTrust } from '../src/pki/origin-trust.ts';
import { pemOf } from '../src/pki/pem.ts';
import { originTlsOptions } from '../src/pki/tls-options.ts';

/**
 * What our own validation adds to a new session, in which OpenSSL verifies too: CPU of this process for
 * `OriginTrust.validate`, with the verdict remembered and without, beside that of a whole origin leg (TLS 1.3, full handshake). Chains as public CAs make them: leaf,
 * intermediate, root. Run with `npm run bench:validation`.
 */

interface Authority {
  readonly name: Buffer;
  readonly key: KeyObject;
  readonly keyId: Buffer;
  readonly der: Buffer;
}

/** A leaf and its intermediate. */
type Chain = readonly [leaf: Buffer, above: Buffer];

const day = 86_400_000;
const rounds = 300;
const warmUp = 200;
const name = 'www.origin.example';
const crl = Buffer.from('http://crl.origin.example/ca.crl');

for (const kind of ['RSA-2048', 'P-256', 'P-256 below P-384'] as const) await report(kind);

async function report(kind: 'RSA-2048' | 'P-256' | 'P-256 below P-384'): Promise<void> {
  const makeKey = (of: 'ca' | 'leaf'): KeyObject =>
    kind === 'RSA-2048'
      ? generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey
      : generateKeyPairSync('ec', { namedCurve: of === 'ca' && kind !== 'P-256' ? 'P-384' : 'P-256' }).privateKey;
  const root = await authority('Root', makeKey('ca'));
  const middle = await authority('Intermediate', makeKey('ca'), root);
  const leafKey = makeKey('leaf');
  const pem = (der: Buffer): string => pemOf('CERTIFICATE', der);
  const leafs: Buffer[] = [];
  for (let each = 0; each < warmUp + rounds; each++) leafs.push(await leaf(leafKey, middle));
  const roots = [pem(root.der)];
  const trust = new OriginTrust(roots);
  const validation = (chains: readonly Chain[], verifiedByOpenssl = true): number => {
    // As the handshake leaves them: objects that nobody has looked at yet, verified by OpenSSL.
    const peers = chains.map(([der, above]) =>
      Object.defineProperty(new X509Certificate(der), 'issuerCertificate', { value: new X509Certificate(above) }),
    );
    const before = process.cpuUsage();
    for (const peer of peers) {
      const verdict = trust.validate({ peer, name, now: Date.now(), exceptions: [], verifiedByOpenssl });
      if (verdict.kind === 'failed') throw new Error(verdict.detail);
    }
    return microseconds(before) / chains.length;
  };
  const below = (ders: readonly Buffer[]): readonly Chain[] => ders.map((der) => [der, middle.der]);
  validation(below(leafs.slice(0, warmUp)));
  const cold = validation(below(leafs.slice(warmUp)));
  const strangers: Chain[] = [];
  for (let each = 0; each < 2 * rounds; each++) {
    const above = await authority(`Intermediate ${each}`, middle.key, root);
    strangers.push([await leaf(leafKey, above), above.der]);
  }
  const first = validation(strangers.slice(0, rounds));
  const unsure = validation(strangers.slice(rounds), false);
  const check = signatureCost(leafs, middle.key);
  const known = leafs.slice(0, 1).flatMap((der) => new Array<Buffer>(warmUp + rounds).fill(der));
  validation(below(known));
  const warm = validation(below(known));
  const path = [...(known[0] === undefined ? [] : [known[0]]), middle.der, root.der].map(
    (der) => new X509Certificate(der),
  );
  const asked = await revocationCost(leafs.map((der) => [new X509Certificate(der), ...path.slice(1)]));
  const remembered = await revocationCost(known.map(() => path));
  const [shown = ''] = leafs.map(pem);
  const session = await originLegCost({ cert: shown + pem(middle.der), key: keyPem(leafKey) }, trust, roots);
  console.log(`${kind}:`);
  console.log(`  origin leg, full handshake, all of it  ${session.toFixed(0)} microseconds`);
  console.log(`  validation, verdict remembered         ${warm.toFixed(1)}, ${percent(warm / session)} of it`);
  console.log(
    `  revocation, answer remembered          ${remembered.toFixed(1)}, ${percent(remembered / session)} of it`,
  );
  console.log(`  revocation, control is asked           ${asked.toFixed(0)}`);
  console.log(`  validation, leaf never seen before     ${cold.toFixed(0)}`);
  console.log(`  the same, nor its intermediate         ${first.toFixed(0)}`);
  console.log(
    `  the same, where OpenSSL found no path  ${unsure.toFixed(0)}, of it two signatures, ${check.toFixed(0)} each`,
  );
}

/** The relay's part of asking about revocation: control is answered for at once. */
async function revocationCost(paths: readonly (readonly X509Certificate[])[]): Promise<number> {
  const good: RevocationFinding = { status: 'good', source: 'crl', detail: '', untilMs: Date.now() + day };
  const ask: AskRevocation = (pairs) => Promise.resolve(pairs.map(() => good));
  const terms = { ask, client: '192.0.2.1', timeoutMs: 1_000 };
  for (const path of paths.slice(0, warmUp)) await revocationOf({ path, staple: undefined }, terms);
  const before = process.cpuUsage();
  for (const path of paths.slice(warmUp)) await revocationOf({ path, staple: undefined }, terms);
  return microseconds(before) / (paths.length - warmUp);
}

/** What OpenSSL takes to check one signature of the issuer. */
function signatureCost(leafs: readonly Buffer[], issuerKey: KeyObject): number {
  const key = createPublicKey(issuerKey);
  const certificates = leafs.map((der) => new X509Certificate(der));
  const before = process.cpuUsage();
  for (const certificate of certificates) certificate.verify(key);
  return microseconds(before) / certificates.length;
}

/** CPU of this process for one origin leg with the verdict remembered; the origin is another process. */
async function originLegCost(
  credentials: { readonly cert: string; readonly key: string },
  trust: OriginTrust,
  ca: string[],
): Promise<number> {
  const origin = fork(fileURLToPath(new URL('processes/tls-origin.ts', import.meta.url)));
  origin.send(credentials);
  const [port] = (await once(origin, 'message')) as [number];
  const context = createSecureContext({
    ...originTlsOptions({ minVersion: 'TLSv1.2', exceptions: [], keyShares: 'all' }),
    ca,
  });
  const dial = async (): Promise<void> => {
    const transport = connect(port, '127.0.0.1');
    await once(transport, 'connect');
    const leg = await openOriginLeg({
      transport,
      context,
      trust,
      fetchIssuers: undefined,
      name,
      serverName: name,
      alpn: ['http/1.1'],
      exception: undefined,
      timeoutMs: 10_000,
      requestStaple: false,
    });
    leg.socket.on('error', () => {}).destroy();
  };
  for (let each = 0; each < warmUp; each++) await dial();
  const before = process.cpuUsage();
  for (let each = 0; each < rounds; each++) await dial();
  const spent = microseconds(before) / rounds;
  origin.disconnect();
  return spent;
}

async function authority(commonName: string, key: KeyObject, issuer?: Authority): Promise<Authority> {
  const own = commonNameOnly(commonName);
  const keyId = keyIdentifierOf(spkiOf(key));
  const der = await certificate(own, key, issuer ?? { name: own, key, keyId }, [
    basicConstraintsExtension({ pathLength: issuer === undefined ? 1 : 0 }),
    keyUsageExtension('keyCertSign', 'crlSign'),
    subjectKeyExtension(keyId),
  ]);
  return { name: own, key, keyId, der };
}

function leaf(key: KeyObject, issuer: Authority): Promise<Buffer> {
  const names = ['origin.example', name].map((each) => implicit(2, Buffer.from(each)));
  return certificate(commonNameOnly(name), key, issuer, [
    keyUsageExtension('digitalSignature'),
    extension(oids.extendedKeyUsage, false, sequence(oid(oids.serverAuth))),
    extension(oids.subjectAltName, false, sequence(...names)),
    extension(oids.crlDistributionPoints, false, sequence(sequence(explicit(0, explicit(0, implicit(6, crl)))))),
    subjectKeyExtension(keyIdentifierOf(spkiOf(key))),
  ]);
}

function certificate(
  subject: Buffer,
  key: KeyObject,
  issuer: Omit<Authority, 'der'>,
  extensions: readonly Buffer[],
): Promise<Buffer> {
  const content = {
    serialNumber: freshSerialNumber(),
    issuer: issuer.name,
    subject,
    notBefore: Date.now() - day,
    notAfter: Date.now() + 90 * day,
    publicKey: spkiOf(key),
    extensions: [...extensions, authorityKeyExtension(issuer.keyId)],
  };
  return signCertificate(content, issuer.key);
}

function spkiOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

function keyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function microseconds(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
