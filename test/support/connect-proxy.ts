import { connect, createServer, type Socket } from 'node:net';
import { listening } from './tcp.ts';

/** A small HTTP proxy that knows CONNECT alone. */
export interface ConnectProxy extends AsyncDisposable {
  readonly port: number;
  /** Heads of the requests received. */
  readonly requests: readonly string[];
}

/** Starts one that tunnels to every target but those of `answers` (hosts, or hosts with port), which get these bytes instead, then the end; none at all for `null`. */
export async function startConnectProxy(answers: Readonly<Record<string, string | null>> = {}): Promise<ConnectProxy> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    keep(client).once('data', (bytes: Buffer) => {
      const head = bytes.toString('latin1');
      requests.push(head);
      const [, host = '', port = ''] = /^CONNECT (\S+):(\d+) HTTP\/1\.1\r\n/.exec(head) ?? [];
      const target = `${host}:${port}`;
      const answer = target in answers ? answers[target] : answers[host];
      if (answer === null) return;
      if (answer !== undefined) return void client.end(answer);
      const origin = keep(connect({ port: Number(port), host, allowHalfOpen: true }));
      origin.once('connect', () => client.write('HTTP/1.1 200 OK\r\nVia: 1.1 test\r\n\r\n'));
      client.pipe(origin).pipe(client);
      client.once('close', () => origin.destroySoon());
    });
  });
  return {
    port: await listening(server),
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
