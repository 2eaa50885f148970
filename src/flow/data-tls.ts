import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, TLSSocket } from 'node:tls';
import { parseClientHello } from '../codec/client-hello.ts';
import { resumptionOfferOf } from '../codec/client-hello-resumption.ts';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import { LingeringTransport } from '../net/lingering-transport.ts';
import { peekOpening } from '../net/peek.ts';
import { WatchedTransport, watchEnd } from '../net/watched-transport.ts';
import { certificateFactsOf } from '../pki/certificate-facts.ts';
import { isProxied } from './data-meeting.ts';
import type { Flow } from './flow.ts';
import type { LeafContext } from './leaf-store.ts';

/** TLS over the data connections of one flow. */
export interface DataTls {
  origin(socket: Socket, direction: 'upload' | 'download'): Promise<Duplex>;
  client(socket: Socket, direction: 'upload' | 'download'): Promise<Duplex>;
}

/**
 * Data connections belong to the control connection: to the origin by resuming its TLS session, which many servers insist
 * on, or at least by the same certificate; to the client by the same leaf, whose sessions it may resume, or must where
 * policy says so: they are of its control connection alone, so that nobody else can. How TLS ends is
 * watched on the leg that a file comes from, because the end of its data connection is the end of the file (RFC 4217
 * section 12.2).
 */
export function dataTls(flow: Flow): DataTls {
  const { timeouts, files } = flow.policy.document;
  const { handshakeMs } = timeouts;
  /** The newest session of a data connection. */
  let session: Buffer | undefined;
  return {
    origin(socket, direction) {
      const { origin, originSecurity: security } = flow;
      if (security === undefined) throw new FlowFailure('GATEWAY_INTERNAL', 'no TLS');
      const resumed = session ?? (origin instanceof TLSSocket ? origin.getSession() : security.session);
      const transport = originTransport(flow, socket, direction);
      const secure = connect({
        socket: transport,
        // Sessions are bound to the name that they were made for.
        host: security.name,
        secureContext: security.context,
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
        ...(security.serverName === undefined ? {} : { servername: security.serverName }),
        ...(resumed === undefined ? {} : { session: resumed }),
      });
      if (transport instanceof WatchedTransport) watchEnd(secure, transport);
      // Node tells of the session also on a connection that the check below refuses: a stranger's must never be resumed.
      let isProven = false;
      let made: Buffer | undefined;
      secure.on('session', (latest: Buffer) => {
        made = latest;
        if (isProven) session = made;
      });
      // It may take as long as the origin takes to consent to the transfer.
      return settled(secure, 'secureConnect', limits.ftpDataWaitMs, 'ORIGIN', () => {
        const peer = secure.getPeerX509Certificate();
        const isKnown = peer !== undefined && certificateFactsOf(peer).fingerprint256 === security.fingerprint;
        if (!secure.isSessionReused() && !isKnown)
          return new FlowFailure('ORIGIN_FTP_DATA_IDENTITY', 'another certificate than on the control connection');
        isProven = true;
        session = made ?? session;
        return undefined;
      });
    },
    async client(socket, direction) {
      const { leaf } = flow;
      if (leaf === undefined) throw new FlowFailure('GATEWAY_INTERNAL', 'no leaf');
      const { opening, bytes } = await peekOpening(socket, { deadlineMs: handshakeMs, silenceMs: handshakeMs });
      if (opening.kind !== 'tls')
        throw new FlowFailure('CLIENT_HANDSHAKE_FAILED', 'no ClientHello on a data connection');
      // Before it is answered: with a full handshake a stranger would get tickets to come again with.
      if (files.requireResumption && !mayResume(leaf, bytes)) throw notResumed('its ClientHello resumes no session');
      const { extensions, versions } = opening.hello;
      // Tickets that an uploading client never reads make its kernel reset the connection, and the tail of the file is lost.
      const isOlder = direction === 'upload' && !extensions.includes(preSharedKey) && versions.includes(0x0303);
      const transport = direction === 'upload' ? new WatchedTransport(socket) : socket;
      const secure = new TLSSocket(transport, {
        isServer: true,
        requestCert: false,
        secureContext: isOlder ? leaf.withoutTickets() : leaf.context,
        ...(leaf.sessions === undefined ? {} : { server: leaf.sessions.server }),
      });
      if (transport instanceof WatchedTransport) watchEnd(secure, transport);
      return settled(secure, 'secure', handshakeMs, 'CLIENT', () =>
        files.requireResumption && !secure.isSessionReused()
          ? notResumed('a session of another connection')
          : undefined,
      );
    },
  };
}

function originTransport(flow: Flow, socket: Socket, direction: 'upload' | 'download'): Duplex {
  if (direction === 'download') return new WatchedTransport(socket);
  return isProxied(flow) ? new LingeringTransport(socket) : socket;
}

/** Whether a ClientHello offers what only its control connection can have given it; whether it has it, TLS finds out. */
function mayResume({ sessions }: LeafContext, bytes: Buffer): boolean {
  const parse = parseClientHello(bytes);
  if (sessions === undefined || parse.kind !== 'complete') return false;
  const { sessionId, hasTicket, hasPreSharedKey } = resumptionOfferOf(parse.helloBytes);
  return hasPreSharedKey || hasTicket || sessions.has(sessionId);
}

function notResumed(detail: string): FlowFailure {
  return new FlowFailure('CLIENT_FTP_DATA_IDENTITY', detail);
}

/** Extension of a ClientHello that resumes a session of TLS 1.3 (RFC 8446 section 4.2.11). */
const preSharedKey = 41;

function settled(
  secure: TLSSocket,
  event: 'secure' | 'secureConnect',
  timeoutMs: number,
  side: 'CLIENT' | 'ORIGIN',
  refusal: () => FlowFailure | undefined,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer);
      for (const name of troubles) secure.off(name, onTrouble);
      secure.on('error', ignore);
    };
    const fail = (failure: FlowFailure): void => {
      settle();
      secure.destroy();
      reject(failure);
    };
    const onTrouble = (error: unknown): void => {
      const what = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : 'closed';
      fail(new FlowFailure(`${side}_HANDSHAKE_FAILED`, `data connection: ${what}`));
    };
    const timer = setTimeout(() => fail(new FlowFailure(`${side}_HANDSHAKE_TIMEOUT`, 'data connection')), timeoutMs);
    for (const name of troubles) secure.on(name, onTrouble);
    secure.once(event, () => {
      const failure = refusal();
      if (failure !== undefined) return fail(failure);
      settle();
      // What breaks later is reported in the same way, and Node leaves such a socket open for good.
      secure.on('_tlsError', (error: Error) => secure.destroy(error));
      resolve(secure);
    });
  });
}

/** A TLSSocket outside a tls.Server reports errors by `_tlsError` alone. */
const troubles = ['error', '_tlsError', 'close'] as const;

function ignore(): void {}
