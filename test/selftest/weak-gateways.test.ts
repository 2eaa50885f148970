import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { peekOpening } from '../../src/net/peek.ts';
import { type Authority, loadOrCreateAuthority } from '../../src/pki/authority.ts';
import { issueLeaf } from '../../src/pki/leaf.ts';
import { Farm } from '../../src/selftest/farm.ts';
import { judge } from '../../src/selftest/judge.ts';
import { caseClasses } from '../../src/selftest/origin-case.ts';
import { reportOf, type SelftestReport } from '../../src/selftest/report.ts';
import { openResponder, type Responder } from '../../src/selftest/responder.ts';
import { runSelftest } from '../../src/selftest/run-selftest.ts';
import { listening } from '../support/tcp.ts';

/** The self-test against gateways that are weaker than ours: it must be able to fail in each of its classes. */

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
let directory: string;
let authority: Authority;
let responder: Responder;
let farm: Farm;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-weak-'));
  authority = await loadOrCreateAuthority(join(directory, 'certs'), { keyType: 'ec' });
  responder = await openResponder();
  farm = new Farm({ gatewayCa: new Farm().root, responder });
});
afterAll(async () => {
  await responder?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function leafFor(name: string): Promise<{ cert: string; key: string }> {
  const { chainPem } = await issueLeaf(
    authority,
    {
      publicKey: publicKey.export({ type: 'spki', format: 'der' }),
      keyType: 'ec',
      names: [],
      name,
      originNotAfter: Date.now() + 3_600_000,
      originFingerprint: '00',
      untrusted: false,
    },
    Date.now(),
  );
  return { cert: chainPem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** A gateway as simple as can be: it asks the origin first, as `options` say, and shows a leaf for whatever it got. */
async function weakGateway(options: ConnectionOptions): Promise<{ server: Server; port: number }> {
  const serve = async (client: Socket): Promise<void> => {
    const [asked] = (await once(client, 'data')) as [Buffer];
    client.pause();
    const port = Number(/^CONNECT [^:]+:(\d+) /.exec(asked.toString())?.[1]);
    client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    const { opening } = await peekOpening(client, { deadlineMs: 5_000, silenceMs: 5_000 });
    const name = opening.kind === 'tls' ? opening.hello.serverName : undefined;
    const to = connect(port, '127.0.0.1').on('error', () => client.destroy());
    const origin = connectTls({ socket: to, host: name ?? '127.0.0.1', ...(name && { servername: name }), ...options });
    origin.on('error', () => client.destroy());
    origin.setTimeout(3_000, () => client.destroy());
    await once(origin, 'secureConnect');
    const secureContext = createSecureContext(await leafFor(name ?? '127.0.0.1'));
    const secure = new TLSSocket(client, { isServer: true, secureContext }).on('error', () => origin.destroy());
    secure.pipe(origin).pipe(secure);
  };
  const server = createServer((client) => {
    client.on('error', () => {});
    void serve(client).catch(() => client.destroy());
  });
  return { server, port: await listening(server) };
}

async function tested(options: ConnectionOptions): Promise<SelftestReport> {
  const { server, port } = await weakGateway(options);
  const ca = authority.certificates;
  const trials = await runSelftest({ farm, proxy: { ip: '127.0.0.1', port }, ca, timeoutMs: 10_000 });
  server.close();
  return reportOf(
    'a weak gateway',
    trials.map((trial) => judge({ ...trial, code: undefined })),
  );
}

const missedOf = ({ classes }: SelftestReport): Readonly<Record<string, number>> =>
  Object.fromEntries(classes.filter(({ missed }) => missed > 0).map((each) => [each.class, each.missed]));

describe('the self-test', { timeout: 120_000 }, () => {
  it('fails a gateway that verifies nothing in every class of bad origins, and counts what they got', async () => {
    const report = await tested({ rejectUnauthorized: false, minVersion: 'TLSv1', ciphers: 'ALL:aNULL@SECLEVEL=0' });
    console.info(
      JSON.stringify(report.classes.map((each) => [each.class, each.origins, each.missed, each.bytesToBad])),
    );
    expect(report.grade).toBe('F');
    expect(Object.keys(missedOf(report)).toSorted()).toEqual(caseClasses.filter((each) => each !== 'good').toSorted());
    const bad = report.classes.filter((each) => each.class !== 'good');
    expect(bad.filter(({ bytesToBad }) => bytesToBad === 0)).toEqual([]);
  });

  it('fails one that trusts to what Node verifies by itself', async () => {
    const report = await tested({ ca: farm.trustedPem });
    console.info(JSON.stringify(report.classes.map((each) => [each.class, each.origins, each.missed, each.rejected])));
    expect(report.grade).toBe('F');
    const missed = missedOf(report);
    for (const each of ['chain', 'names', 'revocation', 'protocol']) expect(missed).toHaveProperty(each);
    // What Node does verify passes.
    for (const each of ['time', 'algorithms']) expect(missed).not.toHaveProperty(each);
  });
});
