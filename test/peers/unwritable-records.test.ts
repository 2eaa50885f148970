import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { type Heard, talk } from '../support/raw-client.ts';
import { type Line, member } from '../support/record-fields.ts';

const canMount = process.platform === 'linux' && process.getuid?.() === 0;
if (!canMount) console.warn('skipped: records on a full disk need root on Linux');

let origin: TestOrigin;
let gateway: RunningGateway;
let port: number;
let adminPort: number;
/** The directory of records is a small file system of its own. */
let directory: string;
let records: string;

beforeAll(async () => {
  origin = await startOrigin(undefined);
});
afterAll(() => origin?.[Symbol.asyncDispose]());
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-full-'));
  records = join(directory, 'records');
  mkdirSync(records, { mode: 0o700 });
  if (canMount) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'tmpfs', records]);
});
afterEach(async () => {
  await gateway?.stop('SIGKILL');
  if (canMount) execFileSync('umount', ['--lazy', records]);
  rmSync(directory, { recursive: true, force: true });
});

async function start(onFailure: 'continue' | 'stop'): Promise<void> {
  port = await freePort();
  adminPort = await freePort();
  gateway = await startGateway({
    directory,
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      admin: { listen: `127.0.0.1:${adminPort}` },
      originTrust: { system: true },
      records: { directory: records, onFailure, bodyExcerptBytes: 8_192 },
      timeouts: { drain: '1s' },
    },
  });
}

const filler = (): string => join(records, 'filler');

/** Leaves no byte free. */
function fillDisk(): void {
  const fd = openSync(filler(), 'w');
  try {
    for (;;) writeSync(fd, Buffer.alloc(4_096));
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
  } finally {
    closeSync(fd);
  }
}

const get = (): Promise<Heard> => {
  const host = `127.0.0.1:${origin.port}`;
  return talk(port, { say: `GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n` });
};
const failureIn = ({ text }: Heard): string | undefined => /^Daylight-Failure: (\w+)/m.exec(text)?.[1];

/** A request whose record is about 25 KB long. */
function getLarge(agent: Agent): Promise<number | undefined> {
  const host = `127.0.0.1:${origin.port}`;
  const fields = Array.from({ length: 9 }, (_, index) => [`x-${index}`, 'x'.repeat(1_800)] as const);
  return new Promise((resolve, reject) => {
    const headers = { host, ...Object.fromEntries(fields), 'content-type': 'text/plain' };
    const path = `http://${host}/large`;
    const sent = request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    sent.on('error', reject).end('y'.repeat(8_192));
  });
}

async function dropped(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return Number(/^daylight_records_dropped_total (\d+)$/m.exec(text)?.[1] ?? 0);
}

/** What a balancer in front asks. */
async function health(): Promise<readonly [number, unknown]> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/health`);
  return [answer.status, ((await answer.json()) as { status: unknown }).status];
}

describe.runIf(canMount)('when the disk for records is full', { timeout: 60_000 }, () => {
  it('traffic goes on if policy says so, loudly, and what is lost is on record when there is room again', async () => {
    await start('continue');
    expect((await get()).text).toMatch(/^HTTP\/1.1 200/);
    await gateway.waitForRecords('traffic', (lines) => lines.length === 2);
    fillDisk();
    await get();
    await gateway.waitForLog(/GATEWAY_RECORDS_UNWRITABLE.*cannot be written \(ENOSPC.*traffic goes on/);
    expect((await get()).text).toMatch(/^HTTP\/1.1 200/);

    // More than may wait in memory (8 MB).
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    for (let round = 0; round < 100; round += 1) {
      const statuses = await Promise.all(Array.from({ length: 4 }, () => getLarge(agent)));
      expect(statuses).toEqual([200, 200, 200, 200]);
    }
    agent.destroy();
    await expect.poll(dropped, { timeout: 5_000 }).toBeGreaterThan(0);

    execFileSync('mount', ['-o', 'remount,size=64m', records]);
    rmSync(filler());
    await gateway.waitForLog(/is written again after/);
    expect((await get()).text).toMatch(/^HTTP\/1.1 200/);
    const isLoss = (line: Line): boolean => line.class_uid === 0;
    const lines = await gateway.waitForRecords('traffic', (all) => all.some(isLoss));
    const lost = lines.filter(isLoss).reduce((sum, line) => sum + Number(line.count), 0);
    // Relays tell control what they count once a second.
    await expect.poll(dropped, { timeout: 5_000 }).toBe(lost);
    const numbers = lines.map((line) => Number(member(line, 'metadata', 'sequence')));
    expect(Math.max(...numbers) + 1 - numbers.length).toBe(lost);
    expect(await gateway.stop()).toBe(0);
  });

  it('new flows are refused if policy says so, each told why, until there is room again', async () => {
    await start('stop');
    expect((await get()).text).toMatch(/^HTTP\/1.1 200/);
    fillDisk();
    await expect.poll(async () => failureIn(await get()), { timeout: 10_000 }).toBe('GATEWAY_RECORDS_UNWRITABLE');
    await expect.poll(health, { timeout: 10_000 }).toEqual([503, 'records cannot be written']);
    expect(gateway.log()).toMatch(/cannot be written \(ENOSPC.*flows are refused/);
    expect((await get()).text).toMatch(/^HTTP\/1.1 503/);
    const connect = `CONNECT localhost:${origin.port} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    expect((await talk(port, { say: connect })).text).toMatch(/^HTTP\/1.1 503/);
    const socks = await talk(port, { say: Buffer.from('05010005010001' + '7f000001' + '0050', 'hex') });
    expect(Buffer.from(socks.text, 'latin1').toString('hex')).toMatch(/^05000501/);
    const reached = origin.requests.length;
    await get();
    expect(origin.requests.length).toBe(reached);

    rmSync(filler());
    await expect.poll(async () => (await get()).text.slice(0, 12), { timeout: 10_000 }).toBe('HTTP/1.1 200');
    await gateway.waitForLog(/is written again after/);
    await expect.poll(health, { timeout: 10_000 }).toEqual([200, 'ready']);
    expect(await gateway.stop()).toBe(0);
  });
});
