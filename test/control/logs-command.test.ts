import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { logsHelp, runLogs } from '../../src/control/logs-command.ts';
import { recordLine } from '../../src/control/record-line.ts';
import { recordView } from '../../src/control/record-view.ts';
import type { ResponseHead } from '../../src/core/http.ts';
import { alarmRecordLine } from '../../src/records/alarm-record.ts';
import { flowRecordLine } from '../../src/records/flow-record.ts';
import { httpRecordLine } from '../../src/records/http-record.ts';
import { openRecorder } from '../../src/records/recorder.ts';
import { policyDocument } from '../support/policy.ts';
import {
  alarmFacts,
  flowFacts,
  requestHead,
  responseHead,
  startMs,
  transactionFacts,
  writer,
} from '../support/record-facts.ts';

const root = mkdtempSync(join(tmpdir(), 'daylight-logs-'));
const directory = join(root, 'records');
const stamp = { sequence: 0, loggedMs: startMs };
const dbFlow = flowFacts({
  flowId: 'FLOWDB',
  asset: { id: 'db-1', kind: 'cvm' },
  serverName: 'db.other.example',
  destination: { host: 'db.other.example', port: 443 },
});

/** Milliseconds after the start, in the order in which they must be shown. */
const shown: readonly (readonly [file: string, afterMs: number, line: (timeMs: number) => string])[] = [
  ['traffic-0.20260115T093001000Z', 100, (timeMs) => http(timeMs, '/old')],
  ['traffic-1', 200, (timeMs) => http(timeMs, '/one')],
  ['alarms-1', 250, (timeMs) => alarmRecordLine(writer, flowFacts(), alarmFacts({ timeMs }), 'ALARM1', stamp)],
  ['traffic-0', 300, (timeMs) => http(timeMs, '/two?token=x')],
  ['traffic-1', 400, (timeMs) => flowRecordLine(writer, flowFacts(), timeMs, stamp)],
  [
    'traffic-0',
    500,
    (timeMs) =>
      flowRecordLine(
        writer,
        {
          ...dbFlow,
          decrypted: false,
          clientTls: undefined,
          failure: 'ORIGIN_CERT_EXPIRED',
          failureDetail: 'expired 2026-01-02',
        },
        timeMs,
        stamp,
      ),
  ],
];

function http(endMs: number, target: string): string {
  const request = requestHead({ target });
  return httpRecordLine(writer, flowFacts(), transactionFacts({ endMs, startMs: endMs - 27, request }), stamp);
}

beforeAll(() => {
  process.env.TZ = 'UTC';
  mkdirSync(directory);
  for (const [file, afterMs, line] of shown)
    appendFileSync(join(directory, `${file}.ndjson`), `${line(startMs + afterMs)}\n`);
  appendFileSync(join(directory, 'traffic-0.ndjson'), '{"time":1,"torn');
  appendFileSync(join(directory, 'traffic-1.ndjson'), 'no record\n{"time":12}\n');
  writeFileSync(join(directory, 'traffic-2.ndjson'), '');
  writeFileSync(join(directory, 'other.ndjson'), '{"time":1}\n');
});
afterAll(() => rmSync(root, { recursive: true }));

async function logs(...args: string[]): Promise<{ code: number; out: string[]; err: string }> {
  const [out, err] = [[] as string[], [] as string[]];
  const collect = (into: string[]): Writable =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        into.push(chunk.toString());
        done();
      },
    });
  const code = await runLogs(args, { stdout: collect(out), stderr: collect(err), env: {} });
  return { code, out: out.join('').split('\n').slice(0, -1), err: err.join('') };
}

const here = ['--directory', directory];
const times = async (...args: string[]): Promise<number[]> => {
  const { code, out } = await logs(...here, '--json', ...args);
  expect(code).toBe(0);
  return out.map((line) => (JSON.parse(line) as { time: number }).time - startMs);
};

describe('which records are shown', () => {
  const all = shown.map(([, afterMs]) => afterMs);

  test.each([
    ['all of all relays and both logs, in the order of time', [], all],
    ['one log: traffic', ['traffic'], all.filter((ms) => ms !== 250)],
    ['one log: alarms', ['alarms'], [250]],
    ['the last ones', ['--limit', '2'], [400, 500]],
    ['the last ones that match', ['--limit', '1', '--host', 'shop.example'], [400]],
    ['from a time on', ['--since', new Date(startMs + 300).toISOString()], [300, 400, 500]],
    ['from a time on, limited', ['--since', new Date(startMs + 300).toISOString(), '-n', '5'], [300, 400, 500]],
    ['of an asset', ['--asset', 'db-1'], [500]],
    ['of a host and its subdomains', ['--host', '*.other.example'], [500]],
    ['of a flow', ['--flow', flowFacts().flowId], all.slice(0, 5)],
    ['of a rule', ['--rule', 'dlp-*'], [250]],
    ['of a failure', ['--failure', 'origin_cert_*'], [500]],
    ['of a label', ['--label', 'metadata'], [500]],
    ['nothing', ['--asset', 'nobody'], []],
  ])('%s', async (_, args, expected) => {
    expect(await times(...args)).toEqual(expected);
  });

  test('an age: nothing of these is ten minutes old', async () => {
    expect(await times('--since', '10m')).toEqual([]);
  });
});

test('a person reads aligned columns', async () => {
  const { out } = await logs(...here);
  expect(out).toEqual([
    '2026-01-15 09:30:00.100 web-1        10.1.0.23       GET shop.example/old                                 200   1.6k     27ms',
    '2026-01-15 09:30:00.200 web-1        10.1.0.23       GET shop.example/one                                 200   1.6k     27ms',
    '2026-01-15 09:30:00.250 web-1        10.1.0.23       POST shop.example/checkout                         ALARM                 high block dlp-card-number http.request.body card=411111******1111',
    '2026-01-15 09:30:00.300 web-1        10.1.0.23       GET shop.example/two?token=****                      200   1.6k     27ms',
    '2026-01-15 09:30:00.400 web-1        10.1.0.23       shop.example:443                                  closed   6.7k    400ms intercept Decryption Detection',
    '2026-01-15 09:30:00.500 db-1         10.1.0.23       db.other.example:443                              failed   6.7k    500ms intercept ORIGIN_CERT_EXPIRED expired 2026-01-02',
  ]);
});

test('what the gateway answered itself is shown with the status that the client got', () => {
  const answered = {
    ...transactionFacts().outcome,
    complete: false,
    failure: 'POLICY_RULE_BLOCK',
    answered: 403,
  } as const;
  const statusOf = (response: ResponseHead | undefined): string | undefined =>
    recordView(httpRecordLine(writer, flowFacts(), transactionFacts({ response, outcome: answered }), stamp))?.status;
  expect([statusOf(undefined), statusOf(responseHead())]).toEqual(['403', '403']);
});

test('mails and transfers are shown as requests are, with envelope or path, and found by host and rule', async () => {
  const served = join(root, 'served');
  mkdirSync(served);
  const golden = (name: string): string =>
    readFileSync(new URL(`../golden/records/${name}.json`, import.meta.url), 'utf8').trim();
  const lines = ['mail-sent', 'mail-blocked', 'ftp-blocked'].map(golden);
  writeFileSync(join(served, 'traffic-0.ndjson'), `${lines.join('\n')}\n`);
  const { out } = await logs('--directory', served);
  const columns = out.map((line) => line.replace(/ +/g, ' ').split(' 10.1.0.23 ')[1]);
  expect(columns).toEqual([
    'MAIL anna@office.example → bob@partner.example and 1 more "Résumé" 250 101k 35ms',
    'MAIL anna@office.example → bob@partner.example and 1 more "Résumé" - 101k 35ms block mail-exe POLICY_RULE_BLOCK',
    'STOR files.partner.example/in/report.pdf 426 74k 35ms block ftp-pdf POLICY_RULE_BLOCK',
  ]);
  const only = async (...args: string[]) => (await logs('--directory', served, ...args)).out.length;
  expect(await Promise.all([only('--host', 'mx.partner.example'), only('--rule', 'ftp-pdf')])).toEqual([2, 1]);
});

test('what a peer sent cannot steer the terminal', async () => {
  const evil = join(root, 'evil');
  mkdirSync(evil);
  const request = requestHead({ target: '/\u001b[2J\u009b31m\u0007x' });
  const line = httpRecordLine(writer, flowFacts(), transactionFacts({ request, response: responseHead() }), stamp);
  writeFileSync(join(evil, 'traffic-0.ndjson'), `${line}\n`);
  const human = await logs('--directory', evil);
  expect(human.out[0]).toContain('/\\x1b[2J\\x9b31m\\x07x');
  const json = await logs('--directory', evil, '--json');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
  expect(json.out[0]).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  expect(JSON.parse(json.out[0] ?? '')).toEqual(JSON.parse(line));
});

describe('exit codes', () => {
  test.each([
    [['--help'], 0, ''],
    [['both'], 2, 'no such log: "both"'],
    [['traffic', 'alarms'], 2, 'one log at a time'],
    [['--since', 'yesterday'], 2, '--since'],
    [['--limit', '0'], 2, '--limit'],
    [['--host', 'a b'], 2, '--host'],
    [['--directory', join(root, 'missing')], 1, 'cannot be read: ENOENT'],
  ])('%j', async (args, expected, message) => {
    const { code, err } = await logs(...args);
    expect([code, err.includes(message)]).toEqual([expected, true]);
  });

  test('the help names them', () => {
    for (const code of ['0 shown', '1 the records', '2 wrong usage', '3 configuration'])
      expect(logsHelp).toContain(code);
  });

  test('a configuration that is not valid is an error of its own', async () => {
    const file = join(root, 'bad.yaml');
    writeFileSync(file, 'listeners: 3\n');
    await expect(logs('--config', file)).rejects.toMatchObject({ code: 'GATEWAY_CONFIG_INVALID' });
  });
});

describe('--follow', () => {
  const children: ChildProcess[] = [];
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  function startFollowing(records: string, ...args: string[]): { child: ChildProcess; lines: () => string[] } {
    const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
    const child = spawn(process.execPath, [main, 'logs', '--directory', records, '--follow', '--json', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    return { child, lines: () => text.split('\n').slice(0, -1) };
  }

  test('goes on through rotations and new relays, loses and doubles nothing, ends well on SIGINT', async () => {
    const records = join(root, 'followed');
    const policy = { ...policyDocument().records, rotateBytes: 30_000, keep: 0 };
    const relays = [0, 1].map((slot) => openRecorder({ directory: records, slot, policy, onProblem: () => {} }));
    const [first, second] = relays;
    for (let depth = 0; depth < 30; depth += 1) first?.httpTransaction(flowFacts(), transactionFacts({ depth }));
    await first?.flush();
    const { child, lines } = startFollowing(records);
    await expect.poll(() => lines().length, { timeout: 10_000 }).toBe(10);
    for (let batch = 0; batch < 10; batch += 1) {
      for (let depth = 30; depth < 50; depth += 1) first?.httpTransaction(flowFacts(), transactionFacts({ depth }));
      second?.alarm(flowFacts(), alarmFacts());
      await first?.flush();
    }
    expect(readdirSync(records).filter((name) => name.startsWith('traffic-0.2')).length).toBeGreaterThan(5);
    const late = openRecorder({ directory: records, slot: 7, policy, onProblem: () => {} });
    late.flowEnd(flowFacts(), startMs);
    await late.close();
    await expect.poll(() => lines().length, { timeout: 10_000 }).toBe(10 + 200 + 10 + 1);
    const followed = lines().map(
      (line) => JSON.parse(line) as { metadata: { log_source: string; log_name: string; sequence: number } },
    );
    const keys = followed.map(({ metadata }) => `${metadata.log_source} ${metadata.log_name} ${metadata.sequence}`);
    expect(new Set(keys).size).toBe(221);
    for (const relay of relays) await relay.close();
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
  }, 40_000);
});

test('what is about the gateway itself is told in its own words', () => {
  const golden = (name: string) => readFileSync(new URL(`../golden/records/${name}.json`, import.meta.url), 'utf8');
  const lines = ['relay-crashed', 'records-lost'].map((name) => {
    const view = recordView(golden(name));
    return view === undefined ? '' : recordLine(view, { width: undefined, colours: false });
  });
  expect(lines[0]).toMatch(/ CRASH .*A relay ended unexpectedly.*12 as of its last report/);
  expect(lines[1]).toMatch(/ LOST .*12 records of this log could not be written\.$/);
});
