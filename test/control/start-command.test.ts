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
