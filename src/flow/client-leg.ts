import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { type AlertName, FlowFailure } from '../core/failures.ts';
import type { TlsLeg } from '../core/tls.ts';
import { ClearableTransport } from '../net/clearable-transport.ts';
import type { KeyLine } from './key-log.ts';
import type { LeafContext } from './leaf-store.ts';

export interface ClientLegOptions {
  /** The accepted connection, its ClientHello unread or unshifted. */
  readonly transport: Duplex;
  readonly leaf: LeafContext;
  /** What the origin chose; answered to the client when it offers it. Undefined when the origin chose nothing. */
  readonly alpn: string | undefined;
  readonly serverName: string | undefined;
  readonly timeoutMs: number;
  /** Takes the secrets of the session, where policy says so. */
  readonly onKeys?: KeyLine | undefined;
}

export interface ClientLeg {
  readonly socket: TLSSocket;
  readonly tls: TlsLeg;
}

/** Answers the client's handshake with a leaf. Rejects with FlowFailure CLIENT_LEAF_REJECTED, CLIENT_HANDSHAKE_... or CLIENT_GONE. */
export function acceptClient(options: ClientLegOptions): Promise<ClientLeg> {
  const startMs = performance.now();
  const { transport } = options;
  // Without a handle Node would wrap the socket as a stream in JavaScript; and an end that was read already never reaches TLS.
  if (transport.destroyed || transport.readableEnded) return Promise.reject(new FlowFailure('CLIENT_GONE'));
  return new Promise((resolve, reject) => {
    const socket = new TLSSocket(transport, {
      isServer: true,
      requestCert: false,
      secureContext: options.leaf.context,
      ...(options.leaf.sessions === undefined ? {} : { server: options.leaf.sessions.server }),
      ...(options.alpn === undefined ? {} : { ALPNProtocols: [options.alpn] }),
    });
    if (options.onKeys !== undefined) socket.on('keylog', options.onKeys);
    if (transport instanceof ClearableTransport) transport.watch(socket);
    const settle = (): void => {
      clearTimeout(timer);
      socket
        .off('secure', onSecure)
        .off('_tlsError', onError)
        .off('error', onError)
        .off('end', onClose)
        .off('close', onClose);
      transport.off('end', onClose);
    };
    const fail = (failure: FlowFailure): void => {
      settle();
      socket.on('error', () => {});
      socket.destroy();
      reject(failure);
    };
    const onSecure = (): void => {
      settle();
      socket.on('_tlsError', destroyBroken);
      resolve({ socket, tls: legOf(socket, options, performance.now() - startMs) });
    };
    const onError = (error: NodeJS.ErrnoException): void => fail(failureOf(error));
    const onClose = (): void => fail(new FlowFailure('CLIENT_GONE', 'during the TLS handshake'));
    const timer = setTimeout(() => fail(new FlowFailure('CLIENT_HANDSHAKE_TIMEOUT')), options.timeoutMs);
    // A TLSSocket outside a tls.Server reports handshake errors by `_tlsError` alone, as tls.Server itself consumes them.
    socket.on('secure', onSecure).on('_tlsError', onError).on('error', onError).on('close', onClose);
    // A client that closes without an alert: its end reaches the TLS socket, which nobody reads yet.
    socket.on('end', onClose);
    transport.on('end', onClose);
  });
}

/** What breaks later is reported in the same way, and Node leaves such a socket open for good: not even its end is seen. */
function destroyBroken(this: TLSSocket, error: Error): void {
  this.destroy(error);
}

function legOf(socket: TLSSocket, options: ClientLegOptions, handshakeMs: number): TlsLeg {
  return {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.name ?? '',
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
    serverName: options.serverName,
    resumed: socket.isSessionReused(),
    handshakeMs,
    certificate: options.leaf.certificate,
  };
}

/** Alerts by which a client says that it does not accept our leaf (RFC 8446 section 6.2). */
const leafAlerts =
  /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED)/;
const alpnMismatch = /NO_APPLICATION_PROTOCOL/;
const noSharedSignature = /NO_SHARED_SIGNATURE|NO_SUITABLE_SIGNATURE/;

/** The failure that an alert against our leaf is, in the handshake or, from clients that compare pins late, behind it. */
export function leafRejection(error: NodeJS.ErrnoException): FlowFailure | undefined {
  const code = error.code ?? '';
  return leafAlerts.test(code) ? new FlowFailure('CLIENT_LEAF_REJECTED', code) : undefined;
}

function failureOf(error: NodeJS.ErrnoException): FlowFailure {
  const code = error.code ?? '';
  const rejection = leafRejection(error);
  if (rejection !== undefined) return rejection;
  if (alpnMismatch.test(code)) return new FlowFailure('CLIENT_ALPN_UNSUPPORTED', code);
  if (noSharedSignature.test(code)) return new FlowFailure('CLIENT_SIGNATURES_UNSUPPORTED', code);
  if (code === 'ECONNRESET' || code === 'EPIPE') return new FlowFailure('CLIENT_GONE', code);
  return new FlowFailure('CLIENT_HANDSHAKE_FAILED', code || error.message);
}

/** Numbers of RFC 8446 section 6. */
const alertNumbers: Readonly<Record<AlertName, number>> = {
  handshake_failure: 40,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  missing_extension: 109,
  unrecognized_name: 112,
  no_application_protocol: 120,
};

/**
 * Refuses a client that waits for a ServerHello: before keys are agreed an alert is plain text, so the fitting one can be
 * sent without a certificate of any kind. The version bytes are those that every client accepts (RFC 8446 section 5.1).
 */
export function refuseWithAlert(transport: Socket, alert: AlertName): void {
  transport.end(Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, alertNumbers[alert]]));
}
