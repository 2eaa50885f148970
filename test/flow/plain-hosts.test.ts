import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import type { Socket } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AssetPolicy, PolicyDocument } from '../../src/core/policy.ts';
import { startDataPlane } from '../support/data-plane.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { policyDocument } from '../support/policy.ts';
import { listening, receiveAll } from '../support/tcp.ts';
import { openTunnel } from '../support/tunnel.ts';

/** Plain HTTP to a bare address: what policy says of the host shows only in each request. */

let origin: TestOrigin;

beforeAll(async () => {
  origin = await startOrigin(undefined);
});
afterAll(() => origin?.[Symbol.asyncDispose]());

const shop: AssetPolicy = { id: 'shop', kind: 'gaap', detect: true, addresses: [], hosts: ['shop.example'] };
const quiet: AssetPolicy = { id: 'quiet', kind: 'cvm', detect: false, addresses: ['127.0.0.0/8'], hosts: [] };
const ads = { hosts: ['*.ads.example'], addresses: [], ports: [], reason: 'not for work' };
const partner = { hosts: [], addresses: ['127.0.0.1/32'], assets: [], reason: 'partner' };

const get = (host: string, path: string): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

/** Sends requests one after the other on one connection; gives the status of each and the answers. */
async function ask(port: number, requests: readonly string[]): Promise<string> {
  const client = await openTunnel(port, `127.0.0.1:${origin.port}`);
  let heard = '';
  client.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
  client.resume();
  for (const [index, request] of requests.entries()) {
    client.write(request);
    await expect.poll(() => heard.match(/HTTP\/1\.1 \d/g)?.length, { timeout: 5_000 }).toBe(index + 1);
  }
  client.destroy();
  return heard;
}

describe('plain HTTP of a flow that is not intercepted by default', () => {
  const off: Partial<PolicyDocument> = { defaults: { detect: false } };

  it('is inspected where a request names an asset that is, and there alone', async () => {
    await using plane = await startDataPlane({ ...off, assets: [shop] });
    const heard = await ask(plane.port, [
      get('other.example', '/unseen'),
      get('shop.example', '/seen'),
      get('other.example', '/unseen-again'),
    ]);
    for (const path of ['/unseen', '/seen', '/unseen-again']) expect(heard).toContain(`example ${path} 0`);
    expect(plane.transactions.map(({ request }) => request.target)).toEqual(['/seen']);
    await expect.poll(() => plane.flows.map(({ decision }) => decision?.kind)).toEqual(['bypass']);
  });

  it('is refused where a request names a host that is', async () => {
    await using plane = await startDataPlane({ ...off, refuse: [ads] });
    const before = origin.requests.length;
    const heard = await ask(plane.port, [get('other.example', '/first'), get('x.ads.example', '/refused')]);
    expect(heard).toMatch(/HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 403 [\s\S]*not for work/);
    expect(origin.requests.slice(before)).toEqual(['GET /first']);
    expect(plane.transactions.map(({ request }) => request.target)).toEqual(['/refused']);
  });

  it('is judged by host in HTTP/2 without TLS too', async () => {
    const server = createHttp2Server((_request, response) => response.end('served'));
    const port = await listening(server);
    await using plane = await startDataPlane({ ...off, assets: [shop], refuse: [ads] });
    const socket = await openTunnel(plane.port, `127.0.0.1:${port}`);
    const session = connectHttp2('http://shop.example', { createConnection: () => socket });
    const status = (authority: string): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const stream = session.request({ ':path': `/by-${authority}`, ':authority': authority });
        stream.on('response', (headers) => resolve(headers[':status'])).on('error', reject);
        stream.resume();
      });
    const heard = [await status('other.example'), await status('shop.example'), await status('x.ads.example')];
    expect(heard).toEqual([200, 200, 403]);
    expect(plane.transactions.map(({ request }) => request.target)).toEqual(['/by-shop.example', '/by-x.ads.example']);
    session.destroy();
    server.close();
  });

  it('keeps to what its client is: an asset that is left alone stays so', async () => {
    await using plane = await startDataPlane({ ...off, assets: [quiet, shop] });
    await ask(plane.port, [get('shop.example', '/unseen')]);
    expect(plane.transactions).toEqual([]);
  });
});

describe('plain HTTP of an exempt address', () => {
  it('is refused all the same where a request names a refused host, and otherwise left alone', async () => {
    await using plane = await startDataPlane({ bypass: [partner], refuse: [ads], assets: [shop] });
    const heard = await ask(plane.port, [get('shop.example', '/unseen'), get('x.ads.example', '/refused')]);
    expect(heard).toMatch(/HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 403 /);
    expect(plane.transactions.map(({ request }) => request.target)).toEqual(['/refused']);
  });

  it('passes byte for byte, whatever it is, where policy refuses no host', async () => {
    const strange = 'GET / HTTP/1.1\r\nHost: shop.example\r\nHost: other.example\r\n bent: yes\r\n\r\n';
    let got = '';
    const server = createTcpServer((socket: Socket) => {
      socket
        .on('error', () => {})
        .on('data', (chunk) => {
          got += chunk.toString('latin1');
          socket.end('as you like');
        });
    });
    const port = await listening(server);
    await using plane = await startDataPlane({ bypass: [partner], assets: [shop] });
    const client = await openTunnel(plane.port, `127.0.0.1:${port}`);
    client.write(strange);
    expect((await receiveAll(client.resume())).toString()).toBe('as you like');
    expect(got).toBe(strange);
    client.destroy();
    server.close();
  });
});

describe('a published endpoint whose origin is written as an address', () => {
  it.each(['shop.example', undefined])('is exempt by that address, with the server name %s', async (servername) => {
    const { decide } = await import('../../src/flow/decide.ts');
    const { compilePolicy } = await import('../../src/flow/policy-snapshot.ts');
    const policy = compilePolicy(policyDocument({ bypass: [partner] }));
    const decision = decide(policy, { host: '127.0.0.1', port: 443 }, servername, {});
    expect(decision).toEqual({ kind: 'bypass', reason: 'bypass: partner' });
  });
});
