import { describe, expect, it } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import type { ScanFacts } from '../../src/core/record.ts';
import type { ScannerPolicy } from '../../src/core/scanner.ts';
import { MessageScan } from '../../src/flow/message-scan.ts';
import { type Scanner, scannerLookup } from '../../src/flow/scanners.ts';
import { waitUntil } from '../support/gateway.ts';
import { options, startIcapServer, unmodified } from '../support/icap-server.ts';

function scannersAt(port: number, onFailure: ScannerPolicy['onFailure']): readonly Scanner[] {
  const authority = `127.0.0.1:${port}`;
  const policy: ScannerPolicy = {
    id: 'av',
    service: { host: '127.0.0.1', port, url: `icap://${authority}/scan`, authority },
    mode: 'both',
    onFailure,
    timeoutMs: 10_000,
    maximumBytes: 1_000_000_000,
    hosts: [],
    assets: [],
    except: [],
  };
  return scannerLookup([policy])({ hosts: [], certainHosts: [], assetIds: [] });
}

function scanOf(scanners: readonly Scanner[], shareKey: string) {
  const facts: ScanFacts[] = [];
  const scan = new MessageScan({
    method: 'REQMOD',
    message: 'request',
    scanners,
    framing: { kind: 'chunked' },
    shareKey,
    heads: () => ({ requestHead: Buffer.from('POST / HTTP/1.1\r\n\r\n'), responseHead: undefined }),
    onOutcome: (outcome) => facts.push(outcome),
  });
  return { scan, facts };
}

/** Is counted as often as it is held, but takes memory once. */
const megabyte = Buffer.alloc(1_048_576, 'x');
const most = limits.heldBytes / megabyte.length;
const nowhere = 1;

describe.each(['block', 'allow'] as const)('where a scanner that fails means %s, a message', (onFailure) => {
  const scanners = scannersAt(nowhere, onFailure);

  it('is refused where its client holds its share of the memory', () => {
    const { scan, facts } = scanOf(scanners, '192.0.2.1');
    let verdict = scan.begin();
    for (let sent = 0; verdict.kind === 'allow' && sent < 200; sent += 1) verdict = scan.chunk(megabyte);
    expect(verdict).toMatchObject({ kind: 'refuse', code: 'CLIENT_HOARDING' });
    expect(facts).toMatchObject([{ outcome: 'failed', failure: 'CLIENT_HOARDING' }]);
    scan.close();
  });

  it('is refused where its client has most of a memory that is full', () => {
    const others = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((address) => scanOf(scanners, address));
    const flood = scanOf(scanners, '192.0.2.4');
    for (const { scan } of others) for (let sent = 0; sent < most / 8; sent += 1) scan.chunk(megabyte);
    let verdict = flood.scan.begin();
    for (let sent = 0; verdict.kind === 'allow' && sent < most; sent += 1) verdict = flood.scan.chunk(megabyte);
    expect(verdict).toMatchObject({ kind: 'refuse', code: 'CLIENT_HOARDING' });
    for (const { scan } of [...others, flood]) scan.close();
  });

  it('follows policy where others have filled the memory', () => {
    const others = ['192.0.2.1', '192.0.2.2'].map((address) => scanOf(scanners, address));
    for (let sent = 0; sent < most - 1; sent += 1) others[sent % 8 < 5 ? 0 : 1]?.scan.chunk(megabyte);
    expect(others.flatMap(({ facts }) => facts)).toEqual([]);
    const { scan, facts } = scanOf(scanners, '192.0.2.3');
    expect(scan.chunk(megabyte).kind).toBe(onFailure === 'allow' ? 'allow' : 'refuse');
    expect(facts).toMatchObject([{ outcome: 'failed', failure: 'GATEWAY_OVERLOADED' }]);
    for (const other of others) other.scan.close();
    scan.close();
  });
});

describe('a client that fills the places of a scanner', () => {
  it('gets nothing past it by that where policy lets pass what a scanner does not judge, and others are scanned', async () => {
    const waiting: (() => void)[] = [];
    await using server = await startIcapServer(({ method }, socket) => {
      if (method === 'OPTIONS') return options();
      waiting.push(() => void socket.write(unmodified));
      return undefined;
    });
    const scanners = scannersAt(server.port, 'allow');
    const send = (address: string) => {
      const { scan, facts } = scanOf(scanners, address);
      scan.begin();
      scan.chunk(Buffer.from('a body'));
      return { verdict: scan.end(), facts };
    };
    const flood = Array.from({ length: limits.scannerQueue }, () => send('192.0.2.1'));
    const malware = send('192.0.2.1');
    expect(await malware.verdict).toMatchObject({ kind: 'refuse', code: 'CLIENT_HOARDING' });
    expect(malware.facts).toMatchObject([{ outcome: 'failed', failure: 'CLIENT_HOARDING' }]);
    const other = send('192.0.2.2');
    await waitUntil(
      () => waiting.length === limits.scannerConnections / 2 + 1,
      () => `${waiting.length} shown`,
    );
    waiting.pop()?.();
    expect(await other.verdict).toEqual({ kind: 'allow' });
    expect(other.facts).toMatchObject([{ outcome: 'clean' }]);
    const answering = setInterval(() => {
      for (const answer of waiting.splice(0)) answer();
    }, 1);
    await Promise.all(flood.map(({ verdict }) => verdict));
    clearInterval(answering);
    const passed = flood.flatMap(({ facts }) => facts).map(({ outcome, failure }) => failure ?? outcome);
    expect(new Set(passed)).toEqual(new Set(['clean', 'CLIENT_HOARDING']));
  });
});
