import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support/run.ts';

const project = resolve(import.meta.dirname, '../..');
const launcher = join(project, 'bin/daylight.js');
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'daylight-launcher-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** An older Node of this machine, if there is one. */
function olderNode(): string | undefined {
  const path = '/usr/bin/node';
  const { status, stdout } = spawnSync(path, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' });
  const major = status === 0 ? Number(stdout) : 0;
  if (major >= 20 && major < 26) return path;
  console.warn('skipped: no Node between 20 and 25 at /usr/bin/node');
  return undefined;
}
const older = olderNode();

/** A copy of the launcher before a script of our own in place of src/main.ts. */
function projectWith(script: string, packages: Readonly<Record<string, string>> = {}): string {
  const root = mkdtempSync(join(directory, 'project-'));
  mkdirSync(join(root, 'bin'));
  mkdirSync(join(root, 'src'));
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  cpSync(launcher, join(root, 'bin/daylight.js'));
  writeFileSync(join(root, 'src/main.ts'), script);
  for (const [name, node] of Object.entries(packages)) {
    mkdirSync(join(root, 'node_modules', name, 'bin'), { recursive: true });
    writeFileSync(join(root, 'node_modules', name, 'package.json'), '{}');
    writeFileSync(join(root, 'node_modules', name, 'bin/node'), node);
    chmodSync(join(root, 'node_modules', name, 'bin/node'), 0o755);
  }
  return join(root, 'bin/daylight.js');
}

describe('bin/daylight.js', () => {
  test('replaces itself by the gateway, with hardening flags', async () => {
    const script = projectWith('console.log(JSON.stringify([process.pid, process.execArgv, process.argv.slice(2)]));');
    const child = spawn(process.execPath, [script, 'a', '--b'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    await once(child, 'close');
    expect(JSON.parse(output)).toEqual([
      child.pid,
      [
        '--disable-sigusr1',
        '--disallow-code-generation-from-strings',
        '--enable-experimental-regexp-engine-on-excessive-backtracks',
      ],
      ['a', '--b'],
    ]);
  });

  test.runIf(older)('runs on an older Node and starts the pinned one', async () => {
    const { code, stdout, stderr } = await run(older ?? '', [launcher, '--version']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/\(node 26\./);
  });

  test.runIf(older)('hands the exit code through', async () => {
    expect((await run(older ?? '', [launcher, 'no-such-command'])).code).toBe(2);
  });

  const here = `node-${process.platform}-${process.arch}`;

  test.runIf(older)('hands signals through, and ends by the signal that ended the gateway', async () => {
    const script = projectWith('', {
      [here]: '#!/bin/sh\ntrap "echo got TERM; trap - INT; kill -INT $$" TERM\necho up\nwhile :; do sleep 0.05; done\n',
    });
    const child = spawn(older ?? '', [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
      if (output === 'up\n') child.kill('SIGTERM');
    });
    const [, signal] = await once(child, 'close');
    expect({ output, signal }).toEqual({ output: 'up\ngot TERM\n', signal: 'SIGINT' });
  });

  test.runIf(older)('says in one sentence what is missing', async () => {
    const { code, stderr } = await run(older ?? '', [projectWith('')]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^daylight: needs Node 26 or newer and runs on \d+\.\d+\.\d+: run "npm ci" without --omit=optional, or install Node 26\n$/,
    );
  });

  test.runIf(older)('says so when the pinned Node does not start', async () => {
    const { code, stderr } = await run(older ?? '', [projectWith('', { [here]: '#!/nonexistent/interpreter\n' })]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^daylight: .*node does not start: .*\n$/);
  });
});

describe('the environment', () => {
  const weakening = {
    NODE_TLS_REJECT_UNAUTHORIZED: '0',
    NODE_EXTRA_CA_CERTS: '/nonexistent.pem',
    OPENSSL_CONF: '/nonexistent.cnf',
    SSLKEYLOGFILE: '/nonexistent.keys',
  };
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(NODE_|SSL|OPENSSL|VITEST)/.test(name)),
  );

  /** Runs a probe that cleans its environment as src/main.ts does and then tells what it has. */
  async function probe(args: readonly string[], env: NodeJS.ProcessEnv) {
    const module = JSON.stringify(join(project, 'src/control/prepare-process.ts'));
    const script = join(directory, 'probe.ts');
    writeFileSync(
      script,
      `import { prepareProcess, givenEnvironment, gatewayEnvironment } from ${module};
       await prepareProcess(${JSON.stringify(script)}, process.argv.slice(2));
       const { env, pid, execArgv, argv } = process;
       console.log(JSON.stringify({ env, pid, execArgv, args: argv.slice(2), given: givenEnvironment(env), gateway: gatewayEnvironment(env) }));`,
    );
    return run(process.execPath, ['--disable-sigusr1', script, ...args], { env: { ...clean, ...env } });
  }

  test('is cleaned of what could weaken the gateway; start names it in one line', async () => {
    const loaded = join(directory, 'required.cjs');
    const mark = join(directory, 'mark');
    writeFileSync(loaded, `require('node:fs').appendFileSync(${JSON.stringify(mark)}, 'x')`);
    const ran = await probe(['start', '--config', 'x y'], { ...weakening, NODE_OPTIONS: `--require=${loaded}` });
    expect(ran.stderr).toContain(
      'daylight: ignored environment variables: NODE_OPTIONS, NODE_TLS_REJECT_UNAUTHORIZED, NODE_EXTRA_CA_CERTS, OPENSSL_CONF, SSLKEYLOGFILE\n',
    );
    const { env, execArgv, args } = JSON.parse(ran.stdout);
    expect(Object.keys(env)).not.toContain('NODE_OPTIONS');
    expect(env.NODE_COMPILE_CACHE).toMatch(/[/.]cache\/daylight$/);
    for (const name of Object.keys(weakening)) expect(env).not.toHaveProperty(name);
    expect({ execArgv, args }).toEqual({ execArgv: ['--disable-sigusr1'], args: ['start', '--config', 'x y'] });
    // Loaded by the process that Node started with it, and not again.
    expect(readFileSync(mark, 'utf8')).toBe('x');
  });

  test('reaches the command of exec as it was given, but not the gateway', async () => {
    const ran = await probe(['exec', '--', 'true'], { ...weakening, KEPT: 'yes' });
    const { env, given, gateway } = JSON.parse(ran.stdout);
    expect(env).not.toHaveProperty('SSLKEYLOGFILE');
    expect(given).toMatchObject({ ...weakening, KEPT: 'yes' });
    expect(gateway).toMatchObject({ KEPT: 'yes' });
    for (const one of [given, gateway]) expect(one).not.toHaveProperty('DAYLIGHT_GIVEN_ENVIRONMENT');
    expect(gateway).not.toHaveProperty('SSLKEYLOGFILE');
    expect(ran.stderr).not.toContain('ignored');
  });

  test('that is clean is left alone', async () => {
    const { stdout, stderr } = await probe(['check'], { EMPTY: '', SSL_CERT_FILE: '' });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout).env).toMatchObject({ EMPTY: '', SSL_CERT_FILE: '' });
  });

  test('lets no command run compiled code that others may have written', async () => {
    const { stdout } = await probe(['ca', 'show'], { NODE_COMPILE_CACHE: join(directory, 'foreign') });
    expect(JSON.parse(stdout).env.NODE_COMPILE_CACHE).not.toBe(join(directory, 'foreign'));
  });
});
