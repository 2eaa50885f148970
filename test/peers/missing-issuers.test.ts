import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { implicit, oid, sequence } from '../../src/pki/der-writer.ts';
import { type LabCertificate, labCertificate, labExtension, labLeaf, labRoot } from '../pki/support/lab.ts';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { type Heard, talk } from '../support/raw-client.ts';
import { hasProgram } from '../support/run.ts';

const root = labRoot({ commonName: 'Root' });
let gateway: RunningGateway;
let nginx: Nginx;
let ports: { readonly gateway: number; readonly issuers: number };
const origins = new Map<string, TestOrigin>();

describe.runIf(hasProgram('openssl') && hasProgram('nginx'))('an origin that does not send its intermediates', () => {
  beforeAll(async () => {
    ports = { gateway: await freePort(), issuers: await freePort() };
    nginx = await startNginx({ cert: root.pem, key: root.keyPem }, `listen 127.0.0.1:${ports.issuers};`);
    gateway = await start(ports.gateway, { allowAddresses: ['127.0.0.0/8'] }, {});
    await startOrigins();
  }, 60_000);

  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await nginx?.[Symbol.asyncDispose]();
    for (const origin of origins.values()) await origin[Symbol.asyncDispose]();
  });

  test.each(['der.example', 'pem.example', 'pkcs7.example', 'two-missing.example'])(
    'is verified with what is fetched: %s',
    async (name) => {
      expect((await get(ports.gateway, name)).text).toContain('200 OK');
    },
  );

  test('costs one fetch, whoever asks how often', async () => {
    const fetches = (): number => nginx.log().filter((line) => line.includes('/once.der')).length;
    const heard = await Promise.all(
      ['a.once.example', 'b.once.example'].map((name) => get(ports.gateway, name, 'once')),
    );
    for (const { text } of heard) expect(text).toContain('200 OK');
    await get(ports.gateway, 'c.once.example', 'once');
    expect(fetches()).toBe(1);
  });

  test.each([
    'absent.example',
    'junk.example',
    'stranger.example',
    'huge.example',
    'looping.example',
    'elsewhere.example',
    'secure.example',
    'silent.example',
  ])('is refused where nothing useful is fetched: %s', async (name) => {
    const heard = await get(ports.gateway, name);
    expect(heard.error).toContain('ALERT_UNKNOWN_CA');
    expect(origins.get(name)?.bytesReceived()).toBe(0);
  });

  test('is refused where policy fetches nothing, or not from private addresses', async () => {
    for (const [revocation, originTrust] of [
      [{ allowAddresses: ['127.0.0.0/8'] }, { fetchIntermediates: false }],
      [{}, {}],
    ] as const) {
      const port = await freePort();
      await using other = await start(port, revocation, originTrust);
      const before = nginx.log().length;
      expect((await get(port, 'der.example')).error).toContain('ALERT_UNKNOWN_CA');
      expect(nginx.log().length).toBe(before);
      expect(other.log()).not.toContain('GATEWAY_RELAY_CRASHED');
    }
  });
});

function start(port: number, revocation: object, originTrust: object): Promise<RunningGateway> {
  return startGateway({
    files: { 'root.pem': root.pem },
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/root.pem'], ...originTrust },
      revocation: { mode: 'off', ...revocation },
    },
  });
}

function get(port: number, name: string, origin = name): Promise<Heard> {
  const originPort = origins.get(origin)?.port ?? 0;
  return talk(port, {
    before: `CONNECT 127.0.0.1:${originPort} HTTP/1.1\r\nHost: 127.0.0.1:${originPort}\r\n\r\n`,
    until: '\r\n\r\n',
    tls: { servername: name },
    say: `GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`,
  });
}

async function startOrigins(): Promise<void> {
  const at = (file: string): string => `http://127.0.0.1:${ports.issuers}/${file}`;
  const publish = (file: string, content: string | Buffer): void => writeFileSync(join(nginx.root, file), content);

  publish('ca.der', (await ca('By DER', 'der.example', at('ca.der'))).der);
  publish('ca.pem', `# two\n${root.pem}${(await ca('By PEM', 'pem.example', at('ca.pem'))).pem}`);
  publish('ca.p7c', pkcs7(await ca('By PKCS7', 'pkcs7.example', at('ca.p7c'))));
  const upper = intermediate(root, 'Upper');
  publish('upper.der', upper.der);
  publish('lower.der', (await ca('Lower', 'two-missing.example', at('lower.der'), upper, at('upper.der'))).der);
  publish('once.der', (await ca('Once', 'once', at('once.der'))).der);

  publish('junk', 'no certificate');
  publish('huge', Buffer.alloc(70_000, 0x30));
  publish('stranger.der', intermediate(labRoot(), 'Stranger').der);
  const silent = await startOrigin(undefined, () => {});
  origins.set('silent issuer', silent);
  const nowhere = {
    'absent.example': at('absent'),
    'junk.example': at('junk'),
    'stranger.example': at('stranger.der'),
    'huge.example': at('huge'),
    'looping.example': `http://127.0.0.1:${(await redirecting('looping', (port) => `http://127.0.0.1:${port}/`)).port}/`,
    'elsewhere.example': `http://127.0.0.1:${(await redirecting('elsewhere', () => 'http://192.0.2.1:9/')).port}/`,
    'secure.example': `https://127.0.0.1:${ports.issuers}/ca.der`,
    'silent.example': `http://127.0.0.1:${silent.port}/`,
  };
  for (const [name, address] of Object.entries(nowhere)) await ca(`For ${name}`, name, address);
}

/** A CA below an issuer, and an origin of its own that sends its leaf alone. */
async function ca(
  commonName: string,
  name: string,
  address: string,
  issuer = root,
  issuerAddress?: string,
): Promise<LabCertificate> {
  const made = intermediate(issuer, commonName, issuerAddress);
  const leaf = labLeaf(made, { names: name === 'once' ? ['*.once.example'] : [name], extra: [issuerAt(address)] });
  origins.set(name, await startOrigin({ cert: leaf.pem, key: leaf.keyPem }));
  return made;
}

function intermediate(issuer: LabCertificate, commonName: string, issuerAddress?: string): LabCertificate {
  const extra = issuerAddress === undefined ? [] : [issuerAt(issuerAddress)];
  return labCertificate(issuer, { commonName, ca: true, keyUsage: [5, 6], extra });
}

/** authorityInfoAccess with a caIssuers entry. */
function issuerAt(address: string): Buffer {
  const access = sequence(oid('1.3.6.1.5.5.7.48.2'), implicit(6, Buffer.from(address, 'latin1')));
  return labExtension('1.3.6.1.5.5.7.1.1', false, sequence(access));
}

function pkcs7({ pem }: LabCertificate): Buffer {
  const file = join(nginx.root, 'packed.pem');
  writeFileSync(file, pem);
  return execFileSync('openssl', ['crl2pkcs7', '-nocrl', '-certfile', file, '-outform', 'der']);
}

async function redirecting(name: string, to: (port: number) => string): Promise<TestOrigin> {
  const origin: TestOrigin = await startOrigin(undefined, (_request, response) => {
    response.writeHead(302, { location: to(origin.port) }).end();
  });
  origins.set(`redirect ${name}`, origin);
  return origin;
}
