import type { Socket } from 'node:net';
import type { Destination } from '../core/endpoint.ts';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { UpstreamPolicy } from '../core/policy.ts';

type ProxyCredentials = NonNullable<UpstreamPolicy['credentials']>;

/**
 * Asks an HTTP proxy on a connected socket for a tunnel (RFC 9110 section 9.3.6). After that the socket is the
 * connection to the destination; what came behind the proxy's answer is put back. Destroys the socket and rejects with
 * FlowFailure ORIGIN_UPSTREAM_PROXY when there is no tunnel.
 */
export function openProxyTunnel(
  socket: Socket,
  destination: Destination,
  credentials: ProxyCredentials | undefined,
  timeoutMs: number,
): Promise<void> {
  socket.write(connectRequest(destination, credentials), 'latin1');
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const settle = (): void => {
      clearTimeout(timer);
      socket.off('readable', onReadable).off('end', onEnd).off('error', onError).off('close', onEnd);
    };
    const fail = (detail: string): void => {
      settle();
      // Nothing listens any more, and a reset may still come.
      socket.on('error', () => {}).destroy();
      reject(new FlowFailure('ORIGIN_UPSTREAM_PROXY', detail));
    };
    const onReadable = (): void => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf('\r\n\r\n');
      if (end === -1) {
        if (received.length > limits.proxyReplyBytes) fail('the answer of the proxy is too large');
        return;
      }
      const refusal = refusalOf(received.toString('latin1', 0, Math.min(end, statusLineBytes)));
      if (refusal !== undefined) {
        fail(refusal);
        return;
      }
      settle();
      // A success has no body, whatever its header fields say: all that follows is the destination's.
      if (received.length > end + 4) socket.unshift(received.subarray(end + 4));
      resolve();
    };
    const onEnd = (): void => fail('the proxy closed the connection');
    const onError = (error: NodeJS.ErrnoException): void =>
      fail(`the proxy connection failed: ${error.code ?? 'error'}`);
    const timer = setTimeout(() => fail(`no answer of the proxy in ${timeoutMs} ms`), timeoutMs);
    socket.on('readable', onReadable).on('end', onEnd).on('error', onError).on('close', onEnd);
  });
}

/** As much of the answer as its status line may take. */
const statusLineBytes = 256;

function connectRequest(destination: Destination, credentials: ProxyCredentials | undefined): string {
  const host = destination.host.includes(':') ? `[${destination.host}]` : destination.host;
  const target = `${host}:${destination.port}`;
  const authorization = credentials === undefined ? '' : `Proxy-Authorization: Basic ${basicToken(credentials)}\r\n`;
  return `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorization}\r\n`;
}

/** RFC 7617, in UTF-8. */
function basicToken({ user, password }: ProxyCredentials): string {
  return Buffer.from(`${user}:${password}`, 'utf8').toString('base64');
}

/** Why an answer opens no tunnel; undefined when it does. */
function refusalOf(head: string): string | undefined {
  const status = /^HTTP\/1\.[01] (\d{3})(?: |\r\n|$)/.exec(head)?.[1];
  if (status === undefined) return 'the proxy does not speak HTTP';
  return status.startsWith('2') ? undefined : `the proxy answered HTTP ${status}`;
}
