import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { recordedCodes } from '../../src/control/recorded-codes.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-codes-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const line = (client: number, origin: number | undefined, failure?: string, classUid = 4001): string =>
  `${JSON.stringify({
    time: 2_000,
    class_uid: classUid,
    src_endpoint: { ip: '127.0.0.1', port: client },
    ...(origin === undefined ? {} : { dst_endpoint: { ip: '127.0.0.1', port: origin } }),
    unmapped: { gateway: { failure } },
    metadata: { logged_time: 2_000 },
  })}\n`;

it('tells flows of one client port apart by their origins, and flows to one origin by their clients', () => {
  const lines = [
    line(50_000, 443, 'ORIGIN_CERT_EXPIRED'),
    line(50_000, 444),
    line(50_000, 445, 'ORIGIN_GONE'),
    line(50_001, 443, 'ORIGIN_CERT_REVOKED'),
    // The record of a transaction, and a flow that never named an origin.
    line(50_000, 444, 'CLIENT_GONE', 4002),
    line(50_000, undefined, 'CLIENT_GONE'),
  ];
  writeFileSync(join(directory, 'traffic-0.ndjson'), lines.join(''));
  const codes = recordedCodes(directory, 0);
  const of = (client: number, origin: number): unknown => codes.of({ client, origin });
  expect([of(50_000, 443), of(50_000, 444), of(50_000, 445), of(50_001, 443)]).toEqual([
    'ORIGIN_CERT_EXPIRED',
    undefined,
    'ORIGIN_GONE',
    'ORIGIN_CERT_REVOKED',
  ]);
  expect([codes.has({ client: 50_000, origin: 444 }), codes.has({ client: 50_001, origin: 444 })]).toEqual([
    true,
    false,
  ]);
});
