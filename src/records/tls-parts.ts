import { limits } from '../core/limits.ts';
import type { FlowFacts } from '../core/record.ts';
import type { CertificateFacts, TlsLeg } from '../core/tls.ts';
import { cut } from './header-text.ts';
import type { JsonObject } from './json.ts';
import { hashAlgorithms, ja4Type } from './ocsf.ts';

/**
 * `tls` is the client's leg with the minted certificate, `proxy_tls` the origin's leg with the real one. A transaction's
 * line leaves the minted one and the lists of names to the line of its flow: they would be a tenth of every line.
 */
export function tlsParts(flow: FlowFacts, withNames: boolean): JsonObject {
  const { fingerprints } = flow;
  return {
    tls: clientTls(flow, withNames),
    proxy_tls: flow.originTls === undefined ? undefined : legPart(flow.originTls, withNames),
    ja4_fingerprint_list: fingerprints === undefined ? undefined : [{ type_id: ja4Type, value: fingerprints.ja4 }],
  };
}

/** What OCSF has no slot for: group of the key exchange, protocol negotiated, session resumed, names that were left out. */
export function tlsExtras(leg: TlsLeg | undefined): JsonObject | undefined {
  if (leg === undefined) return undefined;
  const { group, alpn, resumed, certificate, clientCertificate } = leg;
  return { group, alpn, resumed, certificate_names: certificate?.names.length, client_certificate: clientCertificate };
}

/** A client that only said hello, or whose TLS went through unread, has a name and a fingerprint but no version. */
function clientTls(flow: FlowFacts, withNames: boolean): JsonObject | undefined {
  const { clientTls: leg, fingerprints, serverName } = flow;
  const ja3_hash =
    fingerprints === undefined ? undefined : { algorithm_id: hashAlgorithms.md5, value: fingerprints.ja3Hash };
  if (leg !== undefined) {
    const certificate = withNames ? {} : { certificate: undefined };
    return { ...legPart(leg, withNames), ...certificate, sni: nameOf(leg.serverName ?? serverName), ja3_hash };
  }
  if (fingerprints === undefined) return undefined;
  return { version: 'unknown', sni: nameOf(serverName), ja3_hash };
}

function legPart(leg: TlsLeg, withNames: boolean): JsonObject {
  return {
    version: leg.version === '' ? 'unknown' : leg.version,
    cipher: leg.cipher === '' ? undefined : leg.cipher,
    sni: nameOf(leg.serverName),
    handshake_dur: Math.round(leg.handshakeMs),
    certificate: leg.certificate === undefined ? undefined : certificatePart(leg.certificate, withNames),
  };
}

/** The longest name of the DNS; what a peer sends may be longer. */
const longestName = 253;

function nameOf(name: string | undefined): string | undefined {
  return name === undefined ? undefined : cut(name, longestName);
}

function certificatePart(certificate: CertificateFacts, withNames: boolean): JsonObject {
  return {
    subject: cut(certificate.subject, limits.recordDetailBytes),
    issuer: cut(certificate.issuer, limits.recordDetailBytes),
    serial_number: cut(certificate.serialNumber, limits.recordDetailBytes),
    fingerprints: [{ algorithm_id: hashAlgorithms.sha256, value: certificate.fingerprint256 }],
    created_time: certificate.notBefore,
    expiration_time: certificate.notAfter,
    is_self_signed: certificate.selfSigned,
    sans: withNames
      ? certificate.names
          .slice(0, limits.recordCertificateNames)
          .map(({ kind, value }) => ({ type: kind === 'dns' ? 'DNS' : 'IP Address', name: cut(value, longestName) }))
      : undefined,
  };
}
