import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { freePort, startGateway } from '../support/gateway.ts';
import { startMailOrigin, Typist } from '../support/mail-origin.ts';
import { childrenOf } from '../support/processes.ts';

const mebibyte = 1_048_576;
const line = `${Buffer.alloc(57, 7).toString('base64')}\r\n`;
const chunk = line.repeat(13_800);

/** Peak of the resident memory of a process. */
function peakBytes(pid: number): number {
  const [, kilobytes = '0'] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1_024;
}

describe.runIf(process.platform === 'linux')('a mail with an attachment of 100 MB', () => {
  it('passes in flat memory, judged by rules all the way', async () => {
    let received = 0;
    await using origin = await startMailOrigin(undefined, {
      size: 200 * mebibyte,
      onData: (stream, _session, done) => {
        stream.on('data', (bytes: Buffer) => (received += bytes.length)).on('end', () => done(null));
      },
    });
    const port = await freePort();
    await using gateway = await startGateway({
      files: {
        'mail.yaml':
          '- { id: never, title: Never, action: block, when: { field: mail.part.body, contains: not-in-it } }\n',
      },
      config: {
        listeners: [{ mode: 'reverse', listen: `127.0.0.1:${port}`, origin: `127.0.0.1:${origin.port}` }],
        rules: { files: ['$DIRECTORY/mail.yaml'] },
      },
    });
    const send = async (chunks: number): Promise<void> => {
      const socket = connect(port, '127.0.0.1');
      const typist = new Typist(socket);
      await typist.hears(/^220 /);
      typist.say('EHLO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n');
      await typist.hears(/354 [^\r\n]*\r\n$/);
      typist.say(
        'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment; filename=a.bin\r\n',
      );
      typist.say('Content-Transfer-Encoding: base64\r\n\r\n');
      for (let sent = 0; sent < chunks; sent += 1) {
        if (!socket.write(chunk)) await new Promise((resolve) => socket.once('drain', resolve));
      }
      typist.say('--b--\r\n.\r\nQUIT\r\n');
      expect(await typist.hearsEnd()).toMatch(/^250 [^\r\n]*\r\n221 /);
    };
    await send(4);
    const [relay = 0] = childrenOf(gateway.pid);
    const before = peakBytes(relay);
    received = 0;
    // 140 MB in base64.
    await send(130);
    expect(received).toBeGreaterThan(136_000_000);
    const records = await gateway.waitForRecords(
      'traffic',
      (all) => all.filter((one) => one.class_uid === 4009).length === 2,
    );
    const sizes = records.flatMap((one) => (one.email as { files?: { size: number }[] } | undefined)?.files ?? []);
    expect(Math.max(...sizes.map(({ size }) => size))).toBe(130 * 13_800 * 57);
    // Spent buffers that wait for the collector: 50 MiB for half of this mail, 70 for half as much again.
    expect(peakBytes(relay) - before).toBeLessThan(100 * mebibyte);
  }, 60_000);
});
