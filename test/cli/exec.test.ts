import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { startOrigin, type TestOrigin } from '../support/https-origin.ts';
import { hasProgram, type Ran, run } from '../support/run.ts';
import { createTestAuthority, type TestAuthority } from '../support/test-authority.ts';

const project = resolve(import.meta.dirname, '../..');
const main = join(project, 'src/main.ts');
/** As a user's environment, without what this machine or the test runner adds. */
const env: NodeJS.ProcessEnv = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(NODE_|SSL_|VITEST|.*_proxy$|.*CA_BUNDLE$|npm_)/i.test(name)),
);

let directory: string;
let origin: TestOrigin;
let gateway: RunningGateway;
let authority: TestAuthority;
let configFile: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-test-exec-'));
  env.TMPDIR = join(directory, 'tmp');
  mkdirSync(env.TMPDIR);
  authority = await createTestAuthority();
  origin = await startOrigin(await authority.issue({ names: ['localhost', '127.0.0.1'] }));
  const port = await freePort();
  gateway = await startGateway({
    config: {
      listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }],
      originTrust: { system: false, files: ['$DIRECTORY/root.pem'] },
    },
    files: { 'root.pem': authority.rootPem },
  });
  configFile = join(gateway.directory, 'daylight.yaml');
});

afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function exec(command: readonly string[], options: { config?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Ran> {
  const config = options.config ?? configFile;
  return run(process.execPath, [main, 'exec', '--config', config, '--', ...command], {
    cwd: directory,
    env: { ...env, ...options.env },
    timeoutMs: 90_000,
  });
}

/** A configuration with an authority and records of its own, that no gateway runs by. */
function ownConfig(name: string, listen: string): { readonly file: string; readonly records: string } {
  const at = (part: string): string => join(directory, name, part);
  const file = join(directory, `${name}.yaml`);
  writeFileSync(join(directory, 'root.pem'), authority.rootPem);
  const config = {
    listeners: [{ mode: 'explicit', listen }],
    authority: { directory: at('certs') },
    records: { directory: at('records') },
    originTrust: { system: false, files: [join(directory, 'root.pem')] },
  };
  writeFileSync(file, JSON.stringify(config));
  return { file, records: at('records') };
}

/** Temporary files of the commands run so far. */
const leftovers = (): readonly string[] =>
  readdirSync(join(directory, 'tmp')).filter((name) => name.startsWith('daylight-'));

const nodeFetch = 'fetch(process.argv[1]).then((answer) => answer.text()).then((text) => process.stdout.write(text))';
const nodeHttps = 'require("node:https").get(process.argv[1], (answer) => answer.pipe(process.stdout))';
const urllib = 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())';
const requests = 'import sys, requests; print(requests.get(sys.argv[1]).text)';
const java = `import java.net.URI; import java.net.http.*;
public class Fetch { public static void main(String[] a) throws Exception {
  System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(a[0])).version(HttpClient.Version.HTTP_1_1).build(), HttpResponse.BodyHandlers.ofString()).body());
  System.out.println(new String(new java.net.URL(a[0] + "-url").openStream().readAllBytes()));
} }`;

const go = `package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
  answer, err := http.Get(os.Args[1])
  if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
  io.Copy(os.Stdout, answer.Body)
}`;

const programs: readonly (readonly [name: string, needs: string, command: (url: string) => readonly string[]])[] = [
  ['curl', 'curl', (url) => ['curl', '-sS', url]],
  ['wget', 'wget', (url) => ['wget', '-qO-', url]],
  ['node-fetch', 'node', (url) => [process.execPath, '-e', nodeFetch, url]],
  ['node-https', 'node', (url) => [process.execPath, '-e', nodeHttps, url]],
  ['python-urllib', 'python3', (url) => ['python3', '-c', urllib, url]],
  ['python-requests', 'python3', (url) => ['python3', '-c', requests, url]],
  ['java', 'java', (url) => ['java', '-XX:TieredStopAtLevel=1', 'Fetch.java', url]],
];

describe('exec with a running gateway', () => {
  test.each(programs)('has the HTTPS of %s inspected', async (name, needs, command) => {
    if (!hasProgram(needs)) return console.warn(`skipped: no ${needs} here`);
    if (name === 'python-requests' && (await run('python3', ['-c', 'import requests'])).code !== 0)
      return console.warn('skipped: no requests for Python here');
    writeFileSync(join(directory, 'Fetch.java'), java);
    const { code, stdout, stderr } = await exec(command(`https://localhost:${origin.port}/by-${name}`));
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain(`GET localhost:${origin.port} /by-${name} 0`);
    if (name === 'java') expect(stdout).toContain('/by-java-url 0');
    const decrypted = (records: readonly Record<string, unknown>[]) =>
      records.some((record) => {
        const line = JSON.stringify(record);
        return line.includes(`/by-${name}`) && line.includes('Decryption Detection');
      });
    expect(decrypted(await gateway.waitForRecords('traffic', decrypted))).toBe(true);
  });

  test.each<readonly [string, (url: string) => readonly string[], string]>([
    ['git', (url) => ['git', 'ls-remote', `${url}/by-git.git`], 'GET /by-git.git/info/refs?service=git-upload-pack'],
    ['npm', (url) => ['npm', 'view', '--registry', url, 'by-npm'], 'GET /by-npm'],
    ['pip', (url) => ['pip', 'download', '--no-cache-dir', '--index-url', url, 'by-pip'], 'GET /by-pip/'],
  ])('has the HTTPS of %s inspected', async (program, command, request) => {
    if (!hasProgram(program)) return console.warn(`skipped: no ${program} here`);
    // The origin speaks none of their protocols; that a request reached it at all needed the CA.
    await exec(command(`https://localhost:${origin.port}`));
    expect(origin.requests).toContain(request);
    const path = request.slice('GET '.length).split('?')[0] ?? '';
    await gateway.waitForRecords('traffic', (records) => JSON.stringify(records).includes(path));
  });

  test('has the HTTPS of Go inspected', async () => {
    if (!hasProgram('go')) return console.warn('skipped: no go here');
    // Go sends nothing for this machine's loopback through a proxy.
    const address = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
    if (address === undefined) return console.warn('skipped: this machine has no address beside loopback');
    await using far = await startOrigin(await authority.issue({ names: [address] }), undefined, {}, address);
    writeFileSync(join(directory, 'fetch.go'), go);
    const built = await run('go', ['build', '-o', 'fetch', 'fetch.go'], {
      cwd: directory,
      timeoutMs: 120_000,
      env: { ...env, GO111MODULE: 'off' },
    });
    expect(built).toMatchObject({ code: 0 });
    const { code, stdout, stderr } = await exec(['./fetch', `https://${address}:${far.port}/by-go`]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toContain(`GET ${address}:${far.port} /by-go 0`);
    await gateway.waitForRecords('traffic', (records) => JSON.stringify(records).includes('/by-go'));
  }, 150_000);

  test('uses that gateway, says where the records are, and leaves nothing behind', async () => {
    const fetched = `curl -sS -o /dev/null https://localhost:${origin.port}/`;
    const { code, stdout, stderr } = await exec([
      'sh',
      '-c',
      `${fetched}; echo $HTTPS_PROXY $no_proxy; ls $(dirname $SSL_CERT_FILE)`,
    ]);
    expect(code).toBe(0);
    const listener = JSON.stringify(readFileSync(configFile, 'utf8')).match(/127\.0\.0\.1:\d+/)?.[0];
    expect(stdout).toBe(`http://${listener}\nca-bundle.pem\nca-extra.pem\ntrust-store.jks\nwgetrc\n`);
    expect(stderr).toBe(
      `daylight: what this command sent through the gateway is recorded in ${join(gateway.directory, 'records')} (daylight logs)\n`,
    );
    expect(leftovers()).toEqual([]);
  });

  test('leaves no record of its own when it looks for that gateway', async () => {
    expect((await exec(['true'])).code).toBe(0);
    const { stdout } = await exec(['curl', '-sS', `https://localhost:${origin.port}/after-the-look`]);
    expect(stdout).toContain('/after-the-look 0');
    const isOver = (records: readonly Record<string, unknown>[]) => JSON.stringify(records).includes('/after-the-look');
    expect(JSON.stringify(await gateway.waitForRecords('traffic', isOver))).not.toContain('POLICY_LOOP');
  });

  test('says so when nothing of the command passed the gateway', async () => {
    const program = ['curl', '-sSk', '--noproxy', '*', `https://localhost:${origin.port}/past-it`];
    const { code, stdout, stderr } = await exec(program);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('/past-it 0') });
    expect(stderr).toBe(
      'daylight: nothing was recorded of this command: it sent nothing, or went past the gateway, as Node before 22.21 does\n',
    );
    expect((await exec(['no-such-command-here'])).stderr).toBe(
      'daylight exec: no-such-command-here: no such command\n',
    );
  });

  test.each([
    ['exit code 7', ['sh', '-c', 'exit 7'], 7],
    ['signal TERM', ['sh', '-c', 'kill -TERM $$'], 143],
    ['no such command', ['no-such-command-here'], 127],
    ['a command that is no program', ['/etc/passwd'], 126],
  ])('ends as its command does: %s', async (_, command, expected) => {
    expect((await exec(command)).code).toBe(expected);
  });

  test('gives the command its own environment back', async () => {
    const { stdout } = await exec(['sh', '-c', 'echo $NODE_OPTIONS $SSLKEYLOGFILE $JAVA_TOOL_OPTIONS'], {
      env: { NODE_OPTIONS: '--trace-warnings', SSLKEYLOGFILE: '/tmp/keys', JAVA_TOOL_OPTIONS: '-Dmine=1' },
    });
    expect(stdout).toMatch(/^--trace-warnings \/tmp\/keys -Dmine=1 -Dhttp\.proxyHost=127\.0\.0\.1 /);
  });

  test('hands a signal to the command', async () => {
    const command = ['sh', '-c', 'trap "echo got it; exit 3" TERM; echo up; while :; do sleep 0.05; done'];
    const child = spawn(process.execPath, [main, 'exec', '--config', configFile, '--', ...command], {
      cwd: directory,
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
      if (output === 'up\n') child.kill('SIGTERM');
    });
    const [code] = await once(child, 'close');
    expect({ code, output }).toEqual({ code: 3, output: 'up\ngot it\n' });
    expect(leftovers()).toEqual([]);
  });
});

describe('exec without a running gateway', () => {
  test('starts one of its own, whose records stay and which ends with the command', async () => {
    const { file, records } = ownConfig('own', `127.0.0.1:${await freePort()}`);
    const { code, stdout, stderr } = await exec(
      ['sh', '-c', `echo $HTTPS_PROXY; curl -sS https://localhost:${origin.port}/by-own`],
      { config: file },
    );
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'daylight: what this command sent through the gateway is recorded in own/records (daylight logs)\n',
    });
    expect(stdout).toContain(`GET localhost:${origin.port} /by-own 0`);
    const lines = readdirSync(records).map((name) => readFileSync(join(records, name), 'utf8'));
    expect(lines.join('')).toContain('/by-own');
    const port = Number(/:(\d+)/.exec(stdout)?.[1]);
    await waitUntil(
      () => !existsSync(`/proc/net/tcp`) || port > 0,
      () => 'no port',
    );
    await expect(connects(port)).resolves.toBe(false);
    expect(leftovers()).toEqual([]);
  });

  test('leaves nothing behind when it is interrupted while its gateway starts', async () => {
    const { file } = ownConfig('interrupted', `127.0.0.1:${await freePort()}`);
    const child = spawn(process.execPath, [main, 'exec', '--config', file, '--', 'echo', 'ran'], {
      cwd: directory,
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    await waitUntil(
      () => leftovers().some((name) => existsSync(join(directory, 'tmp', name, 'daylight.yaml'))),
      () => 'no gateway',
    );
    child.kill('SIGINT');
    const [code] = await once(child, 'close');
    expect({ code, output }).toEqual({ code: 130, output: '' });
    expect(leftovers()).toEqual([]);
  });

  test('takes its gateway along when it is killed', async () => {
    const { file } = ownConfig('killed', `127.0.0.1:${await freePort()}`);
    const child = spawn(
      process.execPath,
      [main, 'exec', '--config', file, '--', 'sh', '-c', 'echo $HTTPS_PROXY; sleep 1'],
      {
        cwd: directory,
        env: { ...env, TMPDIR: directory },
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const port = Number(/:(\d+)\n/.exec(line.toString())?.[1]);
    expect(await connects(port)).toBe(true);
    child.kill('SIGKILL');
    let up = true;
    const poll = setInterval(async () => {
      up = await connects(port);
    }, 50);
    await waitUntil(
      () => !up,
      () => 'the gateway stays',
    ).finally(() => clearInterval(poll));
  });

  test('is not fooled by another program on the port', async () => {
    const server = createServer((_, response) => response.end('not a gateway')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { file } = ownConfig('own', `127.0.0.1:${port}`);
    const { code, stdout } = await exec(['sh', '-c', 'echo $HTTPS_PROXY'], { config: file });
    server.close();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n$/);
    expect(stdout).not.toContain(`:${port}`);
  });

  test('without any configuration has a CA of its own and writes records to var/records', async () => {
    const cwd = mkdtempSync(join(directory, 'empty-'));
    const ran = await run(
      process.execPath,
      [main, 'exec', 'sh', '-c', `curl -s https://127.0.0.1:${origin.port}/; grep -c BEGIN $SSL_CERT_FILE`],
      {
        cwd,
        env,
        timeoutMs: 90_000,
      },
    );
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining('recorded in var/records') });
    expect(Number(ran.stdout)).toBeGreaterThan(1);
    expect(readdirSync(cwd)).toEqual(['var']);
    expect(leftovers()).toEqual([]);
  });

  test('says why no gateway starts, and runs nothing', async () => {
    const { file } = ownConfig('unwritable', `127.0.0.1:${await freePort()}`);
    writeFileSync(join(directory, 'unwritable'), 'a file where a directory shall be');
    const { code, stdout, stderr } = await exec(['echo', 'ran'], { config: file });
    expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
    expect(stderr).toContain('daylight exec: the gateway does not start\n');
    expect(leftovers()).toEqual([]);
  });
});

function connects(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      done(true);
    });
    socket.on('error', () => done(false));
  });
}
