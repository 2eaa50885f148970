import { createServer, type Socket } from 'node:net';
import { listening } from './tcp.ts';

/** One request of ICAP as it came: head, and everything behind it so far, in latin1. */
export interface IcapRequest {
  readonly method: string;
  readonly text: string;
}

/** A content scanner that does as a test tells it. */
export interface IcapServer extends AsyncDisposable {
  readonly port: number;
  readonly requests: readonly IcapRequest[];
  readonly connections: () => number;
}

export const options = (fields = ''): string =>
  `ICAP/1.0 200 OK\r\nMethods: REQMOD, RESPMOD\r\n${fields}Encapsulated: null-body=0\r\n\r\n`;
export const unmodified = 'ICAP/1.0 204 Unmodified\r\n\r\n';

/**
 * Starts it. `answer` is called with each request once its last chunk is there, and once more with what follows a preview
 * (method `CONTINUED`); what it returns is sent, and an empty text ends the connection. Undefined keeps silent.
 */
export async function startIcapServer(
  answer: (request: IcapRequest, socket: Socket) => string | undefined,
): Promise<IcapServer> {
  const open = new Set<Socket>();
  const requests: IcapRequest[] = [];
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    open.add(socket);
    let text = '';
    let isContinued = false;
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      const method = isContinued ? 'CONTINUED' : text.slice(0, text.indexOf(' '));
      const isWhole = method === 'OPTIONS' ? text.endsWith('\r\n\r\n') : /\r\n0(; ieof)?\r\n\r\n$/.test(`\r\n${text}`);
      if (!isWhole) return;
      const request = { method, text };
      text = '';
      requests.push(request);
      const said = answer(request, socket);
      isContinued = said?.startsWith('ICAP/1.0 100') === true;
      if (said === '') socket.destroy();
      else if (said !== undefined) socket.write(said, 'latin1');
    });
  });
  const port = await listening(server);
  return {
    port,
    requests,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
