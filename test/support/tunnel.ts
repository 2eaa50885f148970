import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';

/** Opens a tunnel with CONNECT through a proxy on the loopback. Rejects with the proxy's status line when it is refused. */
export async function openTunnel(proxyPort: number, target: string): Promise<Socket> {
  const socket = connect({ port: proxyPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  socket.on('error', () => {});
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.pause();
  const status = answer.toString('latin1').split('\r\n')[0] ?? '';
  // An origin that speaks first may have done so already.
  const end = answer.indexOf('\r\n\r\n') + 4;
  if (end >= 4 && end < answer.length) socket.unshift(answer.subarray(end));
  if (/^HTTP\/1\.1 200 /.test(status)) return socket;
  socket.destroy();
  throw new Error(status);
}

/** Opens TLS through such a tunnel, trusting what is given. */
export async function openTlsTunnel(proxyPort: number, target: string, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = await openTunnel(proxyPort, target);
  const servername = target.slice(0, target.lastIndexOf(':'));
  const secure = connectTls({ socket, servername, ALPNProtocols: ['http/1.1'], ...options });
  await once(secure, 'secureConnect');
  secure.on('error', () => {});
  return secure;
}
