import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { listening } from './tcp.ts';

/** An FTP server that says what a test wants it to: answers by verb, `undefined` for silence. */
export interface ScriptedFtpOrigin extends AsyncDisposable {
  readonly port: number;
  /** All lines that it heard. */
  readonly heard: readonly string[];
  readonly sockets: readonly Socket[];
}

export async function startScriptedFtpOrigin(
  answer: (line: string, socket: Socket) => string | undefined,
): Promise<ScriptedFtpOrigin> {
  const heard: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.write('220 Test FTP server\r\n');
    let text = '';
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = text.slice(0, end + 1);
        text = text.slice(end + 1);
        // What any client may ask first.
        if (line.startsWith('SYST')) {
          socket.write('215 UNIX Type: L8\r\n');
          continue;
        }
        heard.push(line.trimEnd());
        // Where it is asked for to tell the answers to ABOR from others.
        if (line.startsWith('PWD')) {
          socket.write('257 "/"\r\n');
          continue;
        }
        const reply = answer(line.trimEnd(), socket);
        if (reply !== undefined) socket.write(Buffer.from(`${reply}\r\n`, 'latin1'));
      }
    });
  });
  const port = await listening(server);
  return {
    port,
    heard,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close').catch(() => {});
    },
  };
}
