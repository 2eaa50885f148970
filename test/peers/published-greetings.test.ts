import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { freePort, startGateway } from '../support/gateway.ts';
import { Typist } from '../support/mail-origin.ts';
import { hasProgram, run } from '../support/run.ts';

const isRoot = process.getuid?.() === 0;
/** An address of the loopback that nothing else uses. */
const place = '127.0.0.78';

it.runIf(isRoot)(
  'clients of published ports of mail and files are greeted with what became of their origin, wherever it listens',
  {
    timeout: 60_000,
  },
  async () => {
    const origin = `127.0.0.1:${await freePort()}`;
    const other = await freePort();
    await using gateway = await startGateway({
      config: {
        listeners: [25, 21, other].map((port) => ({ mode: 'reverse', listen: `${place}:${port}`, origin })),
      },
    });
    const hears = (port: number) => new Typist(connect(port, place).on('error', () => {})).hearsEnd();
    expect(await hears(25)).toMatch(/^421 4\.4\.1 ORIGIN_REFUSED [^\r\n]*\r\n$/);
    expect(await hears(21)).toMatch(/^421 ORIGIN_REFUSED [^\r\n]*\r\n$/);
    expect(await hears(other)).toBe('');
    if (hasProgram('curl')) {
      const { stderr } = await run('curl', ['-v', '-sS', '-m', '15', `ftp://${place}/`]);
      expect(stderr).toMatch(/^< 421 ORIGIN_REFUSED /m);
    }
    if (hasProgram('swaks')) {
      const { stdout, code } = await run('swaks', [
        '--server',
        place,
        '--to',
        'a@example.test',
        '--from',
        'b@example.test',
      ]);
      expect(code).not.toBe(0);
      expect(stdout).toContain('421 4.4.1 ORIGIN_REFUSED');
    }
    await expect
      .poll(() => gateway.records('traffic').filter(({ status_code }) => status_code === 'ORIGIN_REFUSED').length)
      .toBeGreaterThanOrEqual(3);
  },
);
