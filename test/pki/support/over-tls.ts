import { once } from 'node:events';
import { type AddressInfo, connect, isIP, type Socket } from 'node:net';
import { createSecureContext, createServer } from 'node:tls';
import { FlowFailure } from '../../../src/core/failures.ts';
import { openOriginLeg } from '../../../src/flow/origin-leg.ts';
import { OriginTrust } from '../../../src/pki/origin-trust.ts';
import { originTlsOptions } from '../../../src/pki/tls-options.ts';

/** An origin out of a set of vectors. */
export interface VectorOrigin {
  /** PEM, leaf first. */
  readonly chain: readonly string[];
  readonly key: string;
  readonly roots: readonly string[];
  readonly name: string;
}

/**
 * Serves the chain as a real TLS origin and opens the real origin leg to it: `verified`, a failure code, or `unservable`
 * where OpenSSL does not load the certificate into a server.
 */
export async function overTls({ chain, key, roots, name }: VectorOrigin): Promise<string> {
  const server = serverOf(chain, key);
  if (server === undefined) return 'unservable';
  let received = 0;
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => {})));
  server.on('secureConnection', (socket) =>
    socket.on('error', () => {}).on('data', ({ length }) => (received += length)),
  );
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const transport = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  try {
    await once(transport, 'connect');
    const leg = await openOriginLeg({
      transport,
      context: contextOf(roots),
      trust: new OriginTrust(roots),
      fetchIssuers: undefined,
      name,
      serverName: isIP(name) === 0 ? name : undefined,
      alpn: [],
      exception: undefined,
      timeoutMs: 20_000,
      requestStaple: false,
    });
    leg.socket.on('error', () => {}).destroy();
    return 'verified';
  } catch (error) {
    if (!(error instanceof FlowFailure)) throw error;
    return received === 0 ? error.code : `${error.code}, but bytes were sent`;
  } finally {
    transport.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

/** Certificates of the vectors break rules that OpenSSL has for servers too: level 0 lets them be served. */
function serverOf(chain: readonly string[], key: string) {
  try {
    return createServer({ cert: chain.join('\n'), key, ciphers: 'DEFAULT@SECLEVEL=0' });
  } catch {
    return undefined;
  }
}

const contexts = new Map<string, ReturnType<typeof createSecureContext>>();

function contextOf(roots: readonly string[]) {
  const key = roots.join('');
  const options = originTlsOptions({ minVersion: 'TLSv1.2', exceptions: [], keyShares: 'all' });
  const present = contexts.get(key) ?? createSecureContext({ ...options, ca: [...roots] });
  contexts.set(key, present);
  return present;
}
