import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';

/** The API of learned bypasses as docs/learned-bypass.md has it, asked by curl. */

let origin: TestOrigin;
let gateway: RunningGateway;
let port: number;

const configOf = (learnedBypass: object) => ({
  listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
  originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
  learnedBypass: { action: 'ask', rejections: 2, within: '5m', for: '1h', ...learnedBypass },
});

const available = hasProgram('curl');
if (!available) console.warn('skipped: no curl here');

beforeAll(async () => {
  if (!available) return;
  const authority = await createTestAuthority();
  origin = await startOrigin(await authority.issue({ names: ['localhost'] }));
  port = await freePort();
  gateway = await startGateway({ files: { 'roots.pem': authority.rootPem }, config: configOf({}) });
});
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly allow: string;
  readonly body: unknown;
}

/** One request; `input` is its body, from standard input. */
async function ask(path: string, args: readonly string[] = [], input?: string): Promise<Answer> {
  const socket = join(gateway.directory, 'certs', 'control.sock');
  const write = ['--write-out', '\n%{http_code} %{content_type} %header{allow}'];
  const body = input === undefined ? [] : ['--data-binary', '@-'];
  const command = ['-sS', '--max-time', '10', '--unix-socket', socket, ...write, ...args, ...body, `http://d${path}`];
  const ran = await run('curl', command, input === undefined ? {} : { input });
  expect(ran.stderr).toBe('');
  const [text = '', status = ''] = ran.stdout.trimEnd().split(/\n(?=\d{3} [^\n]*$)/);
  const [code, type, allow = ''] = status.split(' ');
  expect(type).toBe('application/json');
  return { status: Number(code), allow, body: JSON.parse(text) };
}

const post = (path: string, body: object): Promise<Answer> => ask(path, [], JSON.stringify(body));

/** Whether a client that trusts the origin's root alone reaches it: it does where its flow passes unread. */
async function passes(from: string): Promise<boolean> {
  const roots = ['--cacert', join(gateway.directory, 'roots.pem'), '--interface', from, '--max-time', '10'];
  const ran = await run('curl', [
    ...['-sS', ...roots, '--proxy', `http://127.0.0.1:${port}`],
    `https://localhost:${origin.port}/`,
  ]);
  return ran.code === 0;
}

async function entryOf(group: string, state: string): Promise<Record<string, unknown>> {
  let found: Record<string, unknown> | undefined;
  let heard: Answer | undefined;
  for (let tries = 0; found === undefined && tries < 200; tries++) {
    heard = await ask('/bypasses');
    const { bypasses } = heard.body as { readonly bypasses: readonly Record<string, unknown>[] };
    found = bypasses.find((entry) => entry.group === group && entry.state === state);
  }
  if (found === undefined) throw new Error(`no ${state} entry of ${group}: ${JSON.stringify(heard)}`);
  return found;
}

describe.runIf(available)('learned bypasses, over the control socket', { timeout: 60_000 }, () => {
  let id: string;

  it('are listed with their evidence', async () => {
    expect(await ask('/bypasses')).toEqual({ status: 200, allow: '', body: { action: 'ask', bypasses: [] } });
    expect(await passes('127.0.0.2')).toBe(false);
    expect(await passes('127.0.0.2')).toBe(false);
    const entry = await entryOf('client 127.0.0.2', 'pending');
    id = String(entry.id);
    expect(entry).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{12}$/),
      group: 'client 127.0.0.2',
      host: 'localhost',
      port: origin.port,
      state: 'pending',
      by: 'policy',
      untilMs: expect.any(Number),
      firstMs: expect.any(Number),
      rejections: 2,
      evidence: [expect.anything(), expect.anything()],
    });
    const evidence = { timeMs: expect.any(Number), sign: 'alert', detail: 'unknown_ca', client: '127.0.0.2' };
    expect(entry.evidence).toContainEqual({ ...evidence, flowId: expect.stringMatching(/./) });
  });

  it('are approved for a time and removed, and so the client fares', async () => {
    const beforeMs = Date.now();
    const approved = await post('/bypasses/approve', { id, forMs: 7_200_000 });
    expect(approved).toMatchObject({ status: 200, body: { id, state: 'active', by: 'operator' } });
    const { untilMs } = approved.body as { readonly untilMs: number };
    expect(untilMs - beforeMs).toBeGreaterThanOrEqual(7_200_000);
    expect(untilMs - Date.now()).toBeLessThanOrEqual(7_200_000);
    expect(await passes('127.0.0.2')).toBe(true);
    expect(await passes('127.0.0.3')).toBe(false);
    expect(await post('/bypasses/remove', { id })).toMatchObject({ status: 200, body: { id } });
    expect(await passes('127.0.0.2')).toBe(false);
  });

  it('pass for the time of policy where none is said', async () => {
    expect(await passes('127.0.0.2')).toBe(false);
    await entryOf('client 127.0.0.2', 'pending');
    const approved = await post('/bypasses/approve', { id });
    const { untilMs } = approved.body as { readonly untilMs: number };
    expect(Math.abs(untilMs - Date.now() - 3_600_000)).toBeLessThan(60_000);
  });

  it('cannot be approved where policy refuses them', async () => {
    gateway.configure(configOf({ never: ['localhost'] }));
    await gateway.waitForLog(/reloaded/);
    const { status, body } = await post('/bypasses/approve', { id });
    expect({ status, body }).toEqual({
      status: 409,
      body: { error: 'learnedBypass in the configuration refuses it: action is refuse, or never names the host' },
    });
  });

  it.each([
    ['an unknown id', '/bypasses/approve', '{"id":"0123456789ab"}', 404, 'nothing has the id "0123456789ab"'],
    ['an unknown id to remove', '/bypasses/remove', '{"id":""}', 404, 'nothing has the id ""'],
    ['no id', '/bypasses/approve', '{}', 400, 'id is missing, or no string'],
    ['no body', '/bypasses/remove', '', 400, 'id is missing, or no string'],
    ['an id that is no string', '/bypasses/remove', '{"id":["a"]}', 400, 'id is missing, or no string'],
    ['malformed JSON', '/bypasses/approve', '{"id":', 400, 'the body must be a JSON object'],
    ['JSON that is no object', '/bypasses/approve', '["a"]', 400, 'the body must be a JSON object'],
    ['null', '/bypasses/approve', 'null', 400, 'the body must be a JSON object'],
    ['bytes that are no text', '/bypasses/approve', '\0\u00ff\u0001', 400, 'the body must be a JSON object'],
    [
      'a member that nobody knows',
      '/bypasses/approve',
      '{"id":"a","for":"2h"}',
      400,
      'unknown member "for": known are id, forMs',
    ],
    [
      'a time that is too long',
      '/bypasses/approve',
      '{"id":"a","forMs":604800001}',
      400,
      'forMs must be a whole number of milliseconds, 1 to 604800000 (seven days)',
    ],
    ['a body that is too long', '/bypasses/approve', 'x'.repeat(4_097), 413, 'a body has at most 4096 bytes'],
    ['one that is much too long', '/bypasses/approve', 'x'.repeat(900_000), 413, 'a body has at most 4096 bytes'],
    ['an unknown path', '/bypasses/approve/', '{}', 404, 'no such path: /bypasses/approve/'],
    ['a path of every object', '/constructor', '{}', 404, 'no such path: /constructor'],
  ])('say what is wrong with %s', async (_, path, body, status, error) => {
    expect(await ask(path, [], body)).toEqual({ status, allow: '', body: { error } });
  });

  it('say which method a path takes', async () => {
    const refused = (path: string, method: string) => ({
      status: 405,
      allow: method,
      body: { error: `${path} takes ${method}` },
    });
    expect(await ask('/bypasses', [], '{}')).toEqual(refused('/bypasses', 'GET'));
    expect(await ask('/bypasses/approve')).toEqual(refused('/bypasses/approve', 'POST'));
    expect(await ask('/bypasses/remove', ['-X', 'DELETE'])).toEqual(refused('/bypasses/remove', 'POST'));
    expect(await ask('/listeners', ['-X', 'PUT'], '{}')).toEqual(refused('/listeners', 'GET'));
  });

  it('are told beside the listeners', async () => {
    expect(await ask('/listeners')).toEqual({ status: 200, allow: '', body: [expect.objectContaining({ port })] });
  });

  it('come to no harm by a body without end, nor by what is no HTTP', async () => {
    const path = join(gateway.directory, 'certs', 'control.sock');
    let isOver = false;
    const endless = connect(path)
      .on('error', () => {})
      .on('close', () => (isOver = true));
    endless.write('POST /bypasses/approve HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    for (let count = 0; count < 64 && !isOver; count++) {
      endless.write(chunk);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await waitUntil(
      () => isOver,
      () => 'the connection goes on',
    );
    let heard = '';
    const noise = connect(path).on('error', () => {});
    noise.on('data', (bytes: Buffer) => (heard += bytes.toString('latin1'))).on('close', () => (heard += 'closed'));
    noise.write('\x16\x03\x01\0\0 what is this\r\n\r\n');
    await waitUntil(
      () => heard.endsWith('closed'),
      () => heard,
    );
    expect(heard).toMatch(/^HTTP\/1.1 400 /);
    expect(await ask('/bypasses')).toMatchObject({ status: 200 });
  });
});
