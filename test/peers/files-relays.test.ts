import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ScriptedFtpOrigin, startScriptedFtpOrigin } from '../support/ftp-origin.ts';
import { freePort, type RunningGateway, startGateway, waitUntil } from '../support/gateway.ts';
import { Typist } from '../support/mail-origin.ts';
import { hasProgram, run } from '../support/run.ts';
import { listening } from '../support/tcp.ts';

/** Two relays of an explicit proxy, and an origin that offers the same data port again and again. */
describe.runIf(process.platform === 'linux' && hasProgram('ss'))(
  'a data connection that the kernel may give to another relay',
  () => {
    let gateway: RunningGateway;
    let origin: ScriptedFtpOrigin;
    let data: Server;
    let dataPort: number;
    let proxyPort: number;
    /** Connections past the gateway's own session. */
    let reached: number;
    const sockets: Socket[] = [];

    beforeEach(async () => {
      reached = 0;
      data = createServer((socket) => {
        reached += 1;
        socket.on('error', () => {}).destroy();
      });
      dataPort = await listening(data);
      origin = await startScriptedFtpOrigin((line) => (line === 'EPSV' ? `229 x (|||${dataPort}|)` : '200 OK'));
      proxyPort = await freePort();
      gateway = await startGateway({
        config: { relays: 2, listeners: [{ mode: 'explicit', listen: `127.0.0.1:${proxyPort}` }] },
      });
    });
    afterEach(async () => {
      for (const socket of sockets.splice(0)) socket.destroy();
      for (const relay of relays()) process.kill(relay, 'SIGCONT');
      await gateway?.[Symbol.asyncDispose]();
      await origin?.[Symbol.asyncDispose]();
      data?.close();
    });

    function relays(): readonly number[] {
      const { pid } = gateway;
      const all = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
      return all.filter((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('relay-process'));
    }

    function ask(port: number, localAddress = '127.0.0.1'): Typist {
      const socket = connect({ port: proxyPort, host: '127.0.0.1', localAddress }).on('error', () => {});
      sockets.push(socket);
      const typist = new Typist(socket);
      typist.say(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
      return typist;
    }

    /** A session at a relay that answers: the other one may have got the first tries. */
    async function session(): Promise<Typist> {
      for (let tries = 0; tries < 20; tries += 1) {
        const typist = ask(origin.port);
        await new Promise((resolve) => setTimeout(resolve, 300));
        if (!/200 Connection Established\r\n\r\n220 /.test(typist.heard)) {
          sockets.pop()?.destroy();
          continue;
        }
        await typist.hears(/220 /);
        typist.say('SYST\r\n');
        await typist.hears(/^215 /);
        return typist;
      }
      throw new Error('no relay answers');
    }

    it('is not agreed on while a relay is silent, and is again when it speaks', async () => {
      const [silent = 0] = relays();
      process.kill(silent, 'SIGSTOP');
      const typist = await session();
      typist.say('EPSV\r\n');
      expect(await typist.hears(/\r\n/)).toMatch(/^425 GATEWAY_OVERLOADED another relay/);
      process.kill(silent, 'SIGCONT');
      typist.say('EPSV\r\n');
      expect(await typist.hears(/\r\n/)).toMatch(/^229 /);
    }, 30_000);

    it('is known to a relay that starts in the place of a crashed one', async () => {
      const typist = await session();
      typist.say('EPSV\r\n');
      await typist.hears(/^229 /);
      const { stdout } = await run('ss', ['-Htnp', `dport = :${origin.port}`]);
      const other = relays().find((relay) => !stdout.includes(`pid=${relay},`)) ?? 0;
      process.kill(other, 'SIGKILL');
      await waitUntil(
        () => !relays().includes(other) && relays().length === 2,
        () => 'two relays should run again',
      );
      const strangers = Array.from({ length: 16 }, () => ask(dataPort, '127.0.0.2'));
      for (const stranger of strangers) expect(await stranger.hearsEnd()).toContain('CLIENT_FTP_HIJACK');
      expect(reached).toBe(0);
      typist.say('NOOP\r\n');
      await typist.hears(/^200 /);
    }, 30_000);
  },
);
