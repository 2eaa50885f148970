import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { spoolIn } from '../../src/flow/mail-spool.ts';
import { holdShare } from '../support/hold-share.ts';
import { openSmtp, play } from './relay/smtp-bench.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-spool-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const line = `${'x'.repeat(98)}\r\n`;

/** Files of the spool that this process holds open, though they have no name. */
function openFiles(): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${descriptor}`);
      return target.startsWith(directory) ? [`/proc/self/fd/${descriptor}`] : [];
    } catch {
      return [];
    }
  });
}

/** A session whose mails wait on disk beyond 10 000 bytes. */
function open(spool: { mailBytes?: number; totalBytes?: number; client?: string } = {}) {
  const { mailBytes = 10_000_000, totalBytes = 10_000_000, client = '192.0.2.1' } = spool;
  const budget = holdShare(1_000_000);
  const smtp = openSmtp({
    judges: true,
    hold: {
      budget,
      holdBytes: 10_000,
      spool: { mailBytes, open: spoolIn({ directory: join(directory, 'spool'), mailBytes, totalBytes }, client) },
    },
  });
  play(smtp, ['S: 220 mx.example ESMTP', 'C: EHLO me', 'S: 250-mx', 'S: 250 CHUNKING']);
  play(smtp, ['C: MAIL FROM:<a@x>', 'S: 250 Ok', 'C: RCPT TO:<b@y>', 'S: 250 Ok']);
  return { ...smtp, budget };
}

const settled = (condition: () => boolean): Promise<void> =>
  expect.poll(condition, { timeout: 5_000, interval: 5 }).toBe(true);

describe('a mail that is too long for memory', () => {
  it('waits on disk in a file that nobody else can open, and reaches the origin whole', async () => {
    const smtp = open();
    const mail = `Subject: x\r\n\r\n${line.repeat(5_000)}..\r\n.\r\n`;
    smtp.say('DATA\r\n');
    for (let at = 0; at < 400_000; at += 10_000) smtp.say(mail.slice(at, at + 10_000));
    await settled(() => openFiles().length === 1 && readdirSync(join(directory, 'spool')).length === 0);
    expect(statSync(join(directory, 'spool')).mode & 0o777).toBe(0o700);
    expect(openFiles().map((file) => statSync(file).mode & 0o777)).toEqual([0o600]);
    expect(smtp.wire.to('origin')).not.toContain('DATA');
    // Memory is free for others.
    expect(smtp.budget.take(980_000)).toBe(true);
    smtp.budget.give(980_000);
    smtp.say(mail.slice(400_000));
    expect(smtp.wire.to('origin')).toMatch(/DATA\r\n$/);
    smtp.answer('354 go\r\n');
    await settled(() => smtp.wire.to('origin').endsWith('\r\n.\r\n'));
    expect(smtp.wire.to('origin').endsWith(`DATA\r\n${mail}`)).toBe(true);
    smtp.answer('250 queued\r\n');
    expect(smtp.wire.to('client')).toMatch(/354 Go on\r\n250 queued\r\n$/);
    await settled(() => openFiles().length === 0);
  });

  it('is read as fast as the origin takes it', async () => {
    const smtp = open();
    let isFull = true;
    smtp.wire.isFull = () => isFull;
    smtp.say('DATA\r\n');
    for (let count = 0; count < 100; count++) smtp.say(line.repeat(200));
    smtp.say('.\r\n');
    smtp.answer('354 go\r\n');
    const length = (): number => smtp.wire.to('origin').length;
    await settled(() => length() > 100_000);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(length()).toBeLessThan(400_000);
    isFull = false;
    smtp.relay.drained?.('origin');
    await settled(() => smtp.wire.to('origin').endsWith('\r\n.\r\n'));
    expect(length()).toBeGreaterThan(2_000_000);
    smtp.answer('250 queued\r\n');
  });

  it('never reaches the origin when it is blocked at its end, and the session goes on', async () => {
    const smtp = open();
    smtp.say(`DATA\r\n${line.repeat(5_000)}`);
    await settled(() => openFiles().length === 1);
    smtp.say('SECRET\r\n.\r\n');
    expect(smtp.wire.to('client')).toMatch(/550 5\.7\.1 POLICY_RULE_BLOCK no-secrets\r\n$/);
    smtp.answer('250 reset\r\n');
    play(smtp, ['C: MAIL FROM:<a@x>', 'S: 250 Ok', 'C: RCPT TO:<b@y>', 'S: 250 Ok', 'C: DATA', 'C: fine', 'C: .']);
    play(smtp, ['S: 354 go', 'S: 250 queued']);
    expect(smtp.wire.to('origin')).toMatch(/RSET\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nfine\r\n\.\r\n$/);
    await settled(() => openFiles().length === 0);
  });

  it('comes in chunks as they were sent', async () => {
    const smtp = open();
    const [one, two] = [line.repeat(300), line.repeat(500)];
    smtp.say(`BDAT ${one.length}\r\n${one}`);
    expect(smtp.wire.to('client')).toMatch(/Chunk taken\r\n$/);
    smtp.say(`BDAT ${two.length} LAST\r\n${two}`);
    await settled(() => smtp.wire.to('origin').endsWith(two));
    expect(smtp.wire.to('origin').endsWith(`BDAT ${one.length}\r\n${one}BDAT ${two.length} LAST\r\n${two}`)).toBe(true);
    smtp.answer('250 chunk\r\n250 queued\r\n');
    expect(smtp.wire.to('client')).toMatch(/Chunk taken\r\n250 queued\r\n$/);
  });

  it.each([
    ['its own limit', { mailBytes: 100_000 }],
    ['that of all mails', { totalBytes: 100_000 }],
  ])('and beyond %s goes on as it comes', async (_what, spool) => {
    const smtp = open(spool);
    smtp.say('DATA\r\n');
    for (let count = 0; count < 20; count++) smtp.say(line.repeat(100));
    expect(smtp.wire.to('origin')).toMatch(/DATA\r\n$/);
    smtp.answer('354 go\r\n');
    await settled(() => smtp.wire.to('origin').endsWith(line.repeat(2_000)));
    smtp.say('end\r\n.\r\n');
    expect(smtp.wire.to('origin').endsWith(`DATA\r\n${line.repeat(2_000)}end\r\n.\r\n`)).toBe(true);
    smtp.answer('250 queued\r\n');
    await settled(() => openFiles().length === 0);
    // What it took of the room is there for others.
    const next = open({ ...spool, totalBytes: 130_000 });
    next.say(`DATA\r\n${line.repeat(900)}`);
    expect(next.wire.to('origin')).not.toContain('DATA');
    next.relay.cut('GATEWAY_SHUTTING_DOWN', '');
  });

  it('has a part of the disk that is its client’s, and leaves the rest to the mails of others', async () => {
    const totalBytes = 400_000;
    const mail = `DATA\r\n${line.repeat(1_000)}`;
    const sessions = [1, 2, 3, 4].map(() => open({ totalBytes }));
    for (const { say } of sessions) say(mail);
    // Three quarters, and the fourth goes on as it comes.
    expect(sessions.map(({ wire }) => wire.to('origin').includes('DATA'))).toEqual([false, false, false, true]);
    const other = open({ totalBytes, client: '192.0.2.2' });
    other.say(mail);
    expect(other.wire.to('origin')).not.toContain('DATA');
    for (const { relay } of [...sessions, other]) relay.cut('GATEWAY_SHUTTING_DOWN', '');
    await settled(() => openFiles().length === 0);
  });

  it('gives its room back when the client goes', async () => {
    const smtp = open({ totalBytes: 130_000 });
    smtp.say(`DATA\r\n${line.repeat(900)}`);
    await settled(() => openFiles().length === 1);
    smtp.relay.end('client', false);
    await settled(() => openFiles().length === 0);
    const next = open({ totalBytes: 130_000 });
    next.say(`DATA\r\n${line.repeat(900)}`);
    expect(next.wire.to('origin')).not.toContain('DATA');
    next.relay.cut('GATEWAY_SHUTTING_DOWN', '');
  });

  it('pauses a client that is faster than the disk', async () => {
    const smtp = open({ mailBytes: 100_000_000, totalBytes: 100_000_000 });
    smtp.say('DATA\r\n');
    for (let count = 0; count < 30; count++) smtp.say(line.repeat(1_000));
    expect(smtp.wire.pauses).toEqual([true]);
    await settled(() => smtp.wire.pauses.at(-1) === false);
    smtp.relay.cut('GATEWAY_SHUTTING_DOWN', '');
  });
});

describe('a spool that cannot be written', () => {
  it('has the sender try again, and the session goes on', async () => {
    writeFileSync(join(directory, 'spool'), 'a file is in the way');
    const smtp = open();
    smtp.say(`DATA\r\n${line.repeat(500)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    smtp.say('end\r\n.\r\n');
    expect(smtp.wire.to('client')).toMatch(/451 4\.7\.1 GATEWAY_SPOOL_UNWRITABLE EEXIST\r\n$/);
    expect(smtp.wire.to('origin')).toMatch(/RSET\r\n$/);
    expect(smtp.mails[0]?.outcome).toMatchObject({ complete: true, failure: 'GATEWAY_SPOOL_UNWRITABLE' });
    smtp.answer('250 reset\r\n');
    play(smtp, ['C: NOOP', 'S: 250 Ok']);
    expect(smtp.wire.to('client')).toMatch(/250 Ok\r\n$/);
  });

  const mountable = canMount();
  if (!mountable) console.warn('SKIPPED: a real full disk needs root and mount(8)');

  it.skipIf(!mountable)('because the disk is full has the sender try again', async () => {
    const mountPoint = join(directory, 'spool');
    mkdirSync(mountPoint);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', mountPoint]);
    try {
      const smtp = open();
      smtp.say('DATA\r\n');
      for (let count = 0; count < 100; count++) {
        smtp.say(line.repeat(100));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
      smtp.say('.\r\n');
      expect(smtp.wire.to('client')).toMatch(/451 4\.7\.1 GATEWAY_SPOOL_UNWRITABLE ENOSPC\r\n$/);
      expect(smtp.wire.to('origin')).not.toContain('xxx');
      await settled(() => openFiles().length === 0);
    } finally {
      execFileSync('umount', [mountPoint]);
    }
  });
});

function canMount(): boolean {
  if (process.getuid?.() !== 0) return false;
  const probe = mkdtempSync(join(tmpdir(), 'daylight-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', probe], { stdio: 'ignore' });
    execFileSync('umount', [probe]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}
