import { connect, type Socket } from 'node:net';
import { libc } from '../../src/net/libc.ts';
import { closeListeningSocket, listeningAddress, openListeningSocket } from '../../src/net/listen.ts';
import { sleep } from './tcp.ts';

/** A port that answers no connection: its queue is full, so the kernel drops every SYN as a filtering host would. */
export interface SilentPort extends AsyncDisposable {
  readonly port: number;
}

/** Makes a silent port at an address of the loopback; 0 takes any port. */
export async function silentPort(ip: string, port = 0): Promise<SilentPort> {
  const fd = openListeningSocket({ ip, port }, { transparent: false });
  if (fd === undefined) throw new Error('needs socket options');
  libc().listen(fd, 0);
  const bound = listeningAddress(fd).port;
  const fillers: Socket[] = Array.from({ length: 4 }, () => connect({ port: bound, host: ip }).on('error', () => {}));
  await sleep(50);
  return {
    port: bound,
    async [Symbol.asyncDispose]() {
      for (const filler of fillers) filler.destroy();
      closeListeningSocket(fd);
    },
  };
}
