import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demoRules } from '../../src/control/demo-gateway.ts';
import type { DemoReport } from '../../src/control/demo-report.ts';
import { waitUntil } from '../support/gateway.ts';
import { childrenOf } from '../support/processes.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');
let directory: string;
let env: NodeJS.ProcessEnv;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-test-demo-'));
  env = { ...process.env, TMPDIR: join(directory, 'tmp') };
  mkdirSync(join(directory, 'tmp'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** As a user runs it, in an empty directory. */
const demo = (...args: readonly string[]): Promise<Ran> =>
  run(process.execPath, ['--no-warnings', main, 'demo', ...args], { cwd: directory, env, timeoutMs: 90_000 });

async function report(...args: readonly string[]): Promise<{ readonly ran: Ran; readonly told: DemoReport }> {
  const ran = await demo('--json', ...args);
  if (!ran.stdout.startsWith('{')) throw new Error(`${ran.code} ${ran.stdout} ${ran.stderr}`);
  return { ran, told: JSON.parse(ran.stdout) as DemoReport };
}

const failedIn = ({ steps }: DemoReport): readonly string[] => steps.filter(({ ok }) => !ok).map(({ id }) => id);
const leftovers = (): readonly string[] => [
  ...readdirSync(join(directory, 'tmp')),
  // The user's own directory stays as it was.
  ...readdirSync(directory).filter((name) => name !== 'tmp' && !name.endsWith('.yaml')),
];

describe('the demo', { timeout: 100_000 }, () => {
  it('plays every step as it should be, with the records that it speaks of, and leaves nothing behind', async () => {
    const { ran, told } = await report();
    expect({ code: ran.code, stderr: ran.stderr, failed: failedIn(told) }).toEqual({ code: 0, stderr: '', failed: [] });
    expect(told.steps.map(({ id }) => id)).toEqual([
      'web-inspected',
      'web-blocked',
      'origin-refused',
      'mail-inspected',
      'mail-blocked',
      'file-inspected',
      'file-blocked',
    ]);
    const recordsOf = (id: string): readonly unknown[] => told.steps.find((step) => step.id === id)?.records ?? [];
    const decrypted = { metadata: { labels: ['Decryption Detection'] } };
    expect(recordsOf('web-blocked')).toMatchObject([
      { class_uid: 4002, ...decrypted },
      { class_uid: 2004, ...decrypted, unmapped: { gateway: { rule: 'demo.web.card-number', action: 'block' } } },
    ]);
    expect(recordsOf('mail-inspected')).toMatchObject([
      {
        class_uid: 4009,
        ...decrypted,
        to: ['ben@partner.example'],
        email: { subject: 'Quarterly report', files: [{ name: 'report.pdf' }] },
      },
    ]);
    expect(recordsOf('mail-blocked')).toMatchObject([
      { email: { files: [{ name: 'invoice.pdf', mime_type: 'application/vnd.microsoft.portable-executable' }] } },
      { unmapped: { gateway: { rule: 'demo.mail.program' } } },
    ]);
    expect(recordsOf('file-inspected')).toMatchObject([
      { class_uid: 4008, ...decrypted, command: 'STOR', file: { mime_type: 'application/gzip' } },
    ]);
    expect(recordsOf('origin-refused')).toMatchObject([
      { class_uid: 4001, metadata: { labels: ['Metadata Detection'] } },
    ]);
    expect(leftovers()).toEqual([]);
  });

  it('fails where rules let through what it says is blocked, and names the steps', async () => {
    const file = join(directory, 'lax.yaml');
    const lax = readFileSync(demoRules, 'utf8').replaceAll('action: block', 'action: alarm');
    writeFileSync(file, lax);
    const { ran, told } = await report('--rules', file);
    expect({ code: ran.code, ok: told.ok }).toEqual({ code: 1, ok: false });
    expect(failedIn(told)).toEqual(['web-blocked', 'mail-blocked', 'file-blocked']);
    const missed = (id: string) => told.steps.find((step) => step.id === id)?.claims.filter(({ holds }) => !holds);
    expect(missed('mail-blocked')?.map(({ says }) => says)).toContain('no byte of the mail reaches the origin');
    expect(missed('file-blocked')?.map(({ says }) => says)).toContain('the origin holds no such file');
    for (const id of failedIn(told)) expect(ran.stderr).toContain(`daylight demo: step ${id} did not go as it should.`);
    expect(leftovers()).toEqual([]);
  });

  it('says what is wrong with rules that cannot be read or do not compile', async () => {
    const file = join(directory, 'broken.yaml');
    writeFileSync(file, '- id: broken\n  action: explode\n');
    const [missing, broken] = [await demo('--rules', join(directory, 'none.yaml')), await demo('--rules', file)];
    expect({ code: missing.code, stderr: missing.stderr }).toEqual({
      code: 2,
      stderr: `daylight demo: ${join(directory, 'none.yaml')} cannot be read\n`,
    });
    expect(broken.code).toBe(125);
    expect(broken.stderr).toMatch(
      /^daylight demo: the gateway does not start\n\/.*\/broken.yaml:1:1: title is missing\n/,
    );
    expect(leftovers()).toEqual([]);
  });

  it('leaves nothing behind when it is interrupted while its gateway starts', async () => {
    const child = spawn(process.execPath, ['--no-warnings', main, 'demo'], { cwd: directory, env, stdio: 'ignore' });
    await waitUntil(
      () => childrenOf(child.pid ?? 0).length > 0,
      () => 'no gateway',
    );
    const [gateway = 0] = childrenOf(child.pid ?? 0);
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([130, null]);
    expect({ left: leftovers(), isUp: existsSync(`/proc/${gateway}`) }).toEqual({ left: [], isUp: false });
  });

  it('tells it to people step by step, with --keep stays, is tried with the lines that it prints, and ends with Ctrl-C', async () => {
    const child = spawn(process.execPath, ['--no-warnings', main, 'demo', '--keep'], {
      cwd: directory,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk));
    try {
      await waitUntil(
        () => text.includes('Ctrl-C'),
        () => text,
        60_000,
      );
      expect(text.match(/^\d\. .*: ok$/gm)).toHaveLength(7);
      for (const told of toldToPeople) expect(text).toContain(`${told}\n`);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: no colours where no terminal is.
      expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
      if (hasProgram('curl')) await tryByHand(text);
      const [gateway = 0] = childrenOf(child.pid ?? 0);
      child.kill('SIGINT');
      expect(await once(child, 'close')).toEqual([0, null]);
      expect({ left: leftovers(), isUp: existsSync(`/proc/${gateway}`) }).toEqual({ left: [], isUp: false });
    } finally {
      child.kill('SIGKILL');
    }
  });
});

const toldToPeople = [
  'gets 550 5.7.1 POLICY_RULE_BLOCK demo.mail.program',
  'gets 550 POLICY_RULE_BLOCK demo.files.private-key',
  'fails: TLS alert "certificate expired"',
  'origin    holds no backup.txt, got 0 bytes of it',
  'All 7 steps went as they should.',
];

/** Runs what the demo prints to be tried, in the directory that it names. */
async function tryByHand(text: string): Promise<void> {
  const [, cwd = ''] = /^ {2}cd (.*)$/m.exec(text) ?? [];
  const lines = text.split('\n').filter((line) => line.startsWith('  curl '));
  const outcomes: Ran[] = [];
  for (const line of lines) outcomes.push(await run('sh', ['-c', `${line} -m 20`], { cwd }));
  const [order, card, report, invoice, orders, backup, list] = outcomes;
  expect([order, report, orders, list].map((ran) => ran?.code)).toEqual([0, 0, 0, 0]);
  expect(order?.stdout).toContain('"received"');
  expect(card?.stdout).toContain('demo.web.card-number');
  expect(report?.stderr).toContain('< 250 OK: message queued');
  expect(invoice?.stderr).toContain('< 550 5.7.1 POLICY_RULE_BLOCK demo.mail.program');
  expect(backup?.stderr).toContain('550');
  expect(list?.stdout.split(/\r?\n/)).toEqual(['orders.csv.gz', '']);
}
