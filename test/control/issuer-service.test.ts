import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { IssuerService } from '../../src/control/issuers/issuer-service.ts';
import { limits } from '../../src/core/limits.ts';
import { createExposition } from '../../src/metrics/exposition.ts';
import { labRoot } from '../pki/support/lab.ts';
import { waitUntil } from '../support/gateway.ts';
import { listening } from '../support/tcp.ts';

const root = labRoot();

/** Gives an issuer at each path but those that begin with `/silent`. */
async function issuerHost() {
  const asked: string[] = [];
  const server = createServer(({ url = '' }, response) => {
    asked.push(url);
    if (!url.startsWith('/silent')) response.end(root.der);
  });
  const port = await listening(server);
  return {
    asked,
    at: (path: string) => `http://127.0.0.1:${port}${path}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('a client whose origins name silent issuers keeps nobody else from theirs', async () => {
  await using host = await issuerHost();
  await using service = openService();
  for (let index = 0; index < 2 * limits.issuerFetches; index += 1) {
    void service.issuers.find([host.at(`/silent-${index}`)], '192.0.2.1');
  }
  await waitUntil(
    () => host.asked.length >= 2,
    () => `${host.asked.length} asked`,
  );
  expect(await service.issuers.find([host.at('/a')], '192.0.2.2')).toHaveLength(1);
});

test('what one client had no place for is fetched for another, at the same time and later', async () => {
  await using host = await issuerHost();
  await using service = openService();
  for (let index = 0; index < limits.issuerFetches; index += 1) {
    void service.issuers.find([host.at(`/silent-${index}`)], '192.0.2.1');
  }
  const found = await Promise.all([
    service.issuers.find([host.at('/a')], '192.0.2.1'),
    service.issuers.find([host.at('/a')], '192.0.2.2'),
  ]);
  expect(found.map(({ length }) => length)).toEqual([0, 1]);
  expect(await service.issuers.find([host.at('/b')], '192.0.2.1')).toHaveLength(0);
  expect(await service.issuers.find([host.at('/b')], '192.0.2.2')).toHaveLength(1);
  // Found for one, it is there for all.
  expect(await service.issuers.find([host.at('/a')], '192.0.2.1')).toHaveLength(1);
});

function openService() {
  const settings = {
    directory: '/nonexistent',
    allowAddresses: ['127.0.0.0/8'],
    ownListeners: [],
    upstream: undefined,
    fetchMs: 10_000,
  };
  const issuers = new IssuerService(settings, createExposition());
  return { issuers, [Symbol.asyncDispose]: () => issuers.close() };
}
