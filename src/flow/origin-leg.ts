import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { type ConnectionOptions, connect, type SecureContext, type TLSSocket } from 'node:tls';
import { FlowFailure } from '../core/failures.ts';
import type { OriginException } from '../core/policy.ts';
import type { CertificateFacts, OriginIdentity, TlsLeg } from '../core/tls.ts';
import { certificateFactsOf } from '../pki/certificate-facts.ts';
import { failureOfTlsError } from '../pki/tls-failure.ts';
import { verifyOrigin } from '../pki/verify-origin.ts';

export interface OriginLegOptions {
  readonly transport: Socket;
  readonly context: SecureContext;
  /** Canonical host name or IP address that the certificate must cover. */
  readonly name: string;
  /** Server name to send; none for IP addresses (RFC 6066 section 3). */
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
  readonly exception: OriginException | undefined;
  readonly timeoutMs: number;
}

export interface OriginLeg {
  readonly socket: TLSSocket;
  readonly identity: OriginIdentity;
  readonly tls: TlsLeg;
}

/** A failed origin check, with what is known of the certificate for the record and the page. */
export class OriginCheckFailure extends FlowFailure {
  leg: TlsLeg | undefined;
}

/**
 * Opens TLS to the origin and proves who it is, before any byte of the client is sent. OpenSSL verifies the chain,
 * pki/verify-origin.ts decides the identity on top. Rejects with OriginCheckFailure.
 */
export function openOriginLeg(options: OriginLegOptions): Promise<OriginLeg> {
  const startMs = performance.now();
  const { transport } = options;
  if (transport.destroyed || transport.readableEnded) {
    return Promise.reject(new OriginCheckFailure('ORIGIN_GONE', 'before the TLS handshake'));
  }
  return new Promise((resolve, reject) => {
    let identity: OriginIdentity | undefined;
    let failure: OriginCheckFailure | undefined;
    let leg: TlsLeg | undefined;
    // Asked for once: each asking makes new objects of the whole chain.
    let peer: X509Certificate | undefined;
    const socket = connect({
      ...connectionOptions(options),
      checkServerIdentity: () => {
        const outcome = judge(options, peer);
        if (outcome instanceof OriginCheckFailure) failure = outcome;
        else identity = outcome;
        return failure;
      },
    });
    // Node builds the whole legacy certificate object for checkServerIdentity (0.16 ms); ours does not use it.
    socket.getPeerCertificate = (() => ({})) as unknown as TLSSocket['getPeerCertificate'];
    // Ahead of Node's own listener, which destroys the socket, and with it the certificate, when the check fails.
    socket.prependOnceListener('secure', () => {
      peer = socket.getPeerX509Certificate();
      leg = legOf(socket, peer, startMs, options.serverName);
    });
    const settle = (): void => {
      clearTimeout(timer);
      socket.off('secureConnect', onSecure).off('error', onError).off('close', onClose);
      transport.off('end', onClose);
    };
    const fail = (cause: OriginCheckFailure): void => {
      settle();
      cause.leg = leg;
      socket.on('error', () => {});
      socket.destroy();
      reject(cause);
    };
    const onSecure = (): void => {
      // Where an exception accepts an untrusted chain, Node skips its identity callback: the identity is judged here.
      if (identity === undefined && acceptsUntrusted(options)) {
        const outcome = judge(options, peer);
        if (outcome instanceof OriginCheckFailure) return fail(outcome);
        identity = outcome;
      }
      if (identity === undefined || leg === undefined) {
        return fail(new OriginCheckFailure('ORIGIN_CERT_INVALID', 'identity was not checked'));
      }
      settle();
      resolve({ socket, identity, tls: leg });
    };
    const onError = (error: NodeJS.ErrnoException): void => fail(failure ?? failureOf(error, leg?.certificate));
    const onClose = (): void => fail(failure ?? new OriginCheckFailure('ORIGIN_HANDSHAKE_FAILED', 'connection closed'));
    const timer = setTimeout(() => fail(new OriginCheckFailure('ORIGIN_HANDSHAKE_TIMEOUT')), options.timeoutMs);
    socket.on('secureConnect', onSecure).on('error', onError).on('close', onClose);
    // An end that was read before TLS took over never reaches it; reading nothing makes the stream tell of it.
    transport.on('end', onClose).read(0);
  });
}

/** Everything explicit: nothing of the environment or of Node's defaults decides. */
function connectionOptions(options: OriginLegOptions): ConnectionOptions {
  return {
    socket: options.transport,
    secureContext: options.context,
    rejectUnauthorized: !acceptsUntrusted(options),
    ...(options.serverName === undefined ? {} : { servername: options.serverName }),
    ...(options.alpn.length === 0 ? {} : { ALPNProtocols: [...options.alpn] }),
  };
}

function acceptsUntrusted(options: OriginLegOptions): boolean {
  return options.exception?.allow.includes('untrusted') ?? false;
}

function judge(options: OriginLegOptions, peer: X509Certificate | undefined): OriginIdentity | OriginCheckFailure {
  if (peer === undefined) return new OriginCheckFailure('ORIGIN_CERT_INVALID', 'no certificate');
  const verification = verifyOrigin({
    name: options.name,
    peer,
    now: Date.now(),
    exceptions: options.exception?.allow ?? [],
  });
  if (verification.kind === 'verified') return verification.identity;
  return new OriginCheckFailure(verification.code, verification.detail);
}

function failureOf(error: NodeJS.ErrnoException, certificate: CertificateFacts | undefined): OriginCheckFailure {
  const { code, detail } = failureOfTlsError(error);
  const isUnreadable = certificate?.subject === '' && certificate.issuer === '';
  if (certificate === undefined || isUnreadable || !code.startsWith('ORIGIN_CERT_'))
    return new OriginCheckFailure(code, detail);
  const { subject, issuer, notBefore, notAfter } = certificate;
  const validity = `valid from ${day(notBefore)} to ${day(notAfter)}`;
  return new OriginCheckFailure(code, `${detail} (leaf ${subject}, issued by ${issuer}, ${validity})`);
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

function legOf(
  socket: TLSSocket,
  peer: X509Certificate | undefined,
  startMs: number,
  serverName: string | undefined,
): TlsLeg {
  return {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.name ?? '',
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
    serverName,
    resumed: socket.isSessionReused(),
    handshakeMs: performance.now() - startMs,
    certificate: peer === undefined ? undefined : certificateFactsOf(peer),
  };
}
