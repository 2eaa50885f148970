import { expect, test } from 'vitest';
import type { FromRelay } from '../../src/core/ipc.ts';
import { limits } from '../../src/core/limits.ts';
import { createIssuerRequests } from '../../src/flow/issuer-requests.ts';
import { createRevocationRequests } from '../../src/flow/revocation-requests.ts';

test('a client that asks about many certificates keeps nobody else from asking, and gets its places back', async () => {
  const told: FromRelay[] = [];
  const requests = createRevocationRequests((message) => told.push(message));
  const half = limits.revocationQuestions / 2;
  for (let asked = 0; asked < half; asked += 1) void requests.ask([], '192.0.2.1');
  expect(told).toHaveLength(half);
  expect(await requests.ask([], '192.0.2.1')).toEqual([]);
  const other = requests.ask([], '192.0.2.2');
  expect(told.at(-1)).toMatchObject({ kind: 'revocation-request', id: half + 1, client: '192.0.2.2' });
  const finding = { status: 'good', source: 'crl', detail: '', untilMs: 1 } as const;
  requests.resolve(half + 1, [finding]);
  expect(await other).toEqual([finding]);
  requests.resolve(1, []);
  // An answer that comes twice frees one place.
  requests.resolve(1, []);
  void requests.ask([], '192.0.2.1');
  expect(await requests.ask([], '192.0.2.1')).toEqual([]);
  expect(told).toHaveLength(half + 2);
});

test('a client whose origins leave out their issuers keeps nobody else from asking, and gets its places back', async () => {
  const told: FromRelay[] = [];
  const requests = createIssuerRequests((message) => told.push(message));
  const half = limits.issuerFetches / 2;
  const open = Array.from({ length: half }, () => requests.fetch(['http://a.example/'], '192.0.2.1'));
  expect(told).toHaveLength(half);
  expect(await requests.fetch(['http://a.example/'], '192.0.2.1')).toEqual([]);
  open.push(requests.fetch(['http://a.example/'], '192.0.2.2'));
  expect(told.at(-1)).toMatchObject({ kind: 'issuer-request', id: half + 1, client: '192.0.2.2' });
  for (let id = 1; id <= half + 1; id += 1) requests.resolve(id, []);
  await Promise.all(open);
  open.push(requests.fetch(['http://a.example/'], '192.0.2.1'));
  expect(told).toHaveLength(half + 2);
  requests.resolve(half + 2, []);
  await Promise.all(open);
});
