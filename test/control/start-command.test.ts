import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../support/run.ts';
import { listening } from '../support/tcp.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');

test('start says in words why it cannot start, and what to do', { timeout: 60_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-test-start-'));
  const other = createServer();
  const port = await listening(other);
  const start = async (config: object): Promise<readonly string[]> => {
    const file = join(directory, 'daylight.yaml');
    writeFileSync(file, JSON.stringify({ ...config, authority: { directory: join(directory, 'certs') } }));
    const { stderr } = await run(process.execPath, ['--no-warnings', main, 'start', '--config', file], {
      cwd: directory,
      timeoutMs: 50_000,
    });
    return stderr.split('\n').filter((line) => !line.startsWith('{') && !line.startsWith('daylight: ignored'));
  };
  try {
    expect(await start({ listeners: [{ mode: 'explicit', listen: `127.0.0.1:${port}` }] })).toEqual([
      'daylight start: GATEWAY_PORT_IN_USE: A listening address is in use. Stop the other program or choose another port.',
      `127.0.0.1:${port}: EADDRINUSE`,
      '',
    ]);
    // Errors in a file stand alone, as `check` prints them.
    expect(await start({ relays: 'many' })).toEqual([
      expect.stringMatching(/daylight\.yaml:1:\d+: relays: must be /),
      '',
    ]);
  } finally {
    other.close();
    await once(other, 'close');
    rmSync(directory, { recursive: true, force: true });
  }
});

test('what control loads to start leaves out what it does not need: fetch, HTTP/2 and TLS', {
  timeout: 60_000,
}, async () => {
  const module = resolve(import.meta.dirname, '../../src/control/start-command.ts');
  const program = `await import(${JSON.stringify(module)}); console.log(JSON.stringify(process.moduleLoadList));`;
  const { stdout } = await run(process.execPath, ['--no-warnings', '--input-type=module', '--eval', program], {
    timeoutMs: 50_000,
  });
  const loaded = (JSON.parse(stdout) as readonly string[]).map((name) => name.replace('NativeModule ', ''));
  expect(loaded).toContain('http');
  // An import of node:http or node:tls anywhere below costs 4 to 13 MB for as long as the gateway runs.
  expect(loaded.filter((name) => ['internal/deps/undici/undici', 'http2', 'tls'].includes(name))).toEqual([]);
});
