import { limits } from '../core/limits.ts';
import type { FlowFacts } from '../core/record.ts';
import type { CertificateFacts, TlsLeg } from '../core/tls.ts';
import { cut } from './header-text.ts';
import { type JsonObject, members } from './json.ts';
import { hashAlgorithms, ja4Type } from './ocsf.ts';

/**
 * Members `tls`, the client's leg with the minted certificate, `proxy_tls`, the origin's leg with the real one, and
 * `ja4_fingerprint_list`, as JSON; empty when there are none. A transaction's line leaves the minted certificate and the
 * lists of names to the line of its flow: they would be a tenth of every line.
 */
export function tlsText(flow: FlowFacts, withNames: boolean): string {
  const { originTls, fingerprints } = flow;
  const texts: string[] = [];
  const client = clientText(flow, withNames);
  if (client !== '') texts.push(`"tls":{${client}}`);
  if (originTls !== undefined) {
    texts.push(`"proxy_tls":{${legText(originTls, originTls.serverName)}${certificateText(originTls, withNames)}}`);
  }
  if (fingerprints !== undefined) {
    texts.push(`"ja4_fingerprint_list":[{"type_id":${ja4Type},"value":${JSON.stringify(fingerprints.ja4)}}]`);
  }
  return texts.join(',');
}

/** What OCSF has no slot for: group of the key exchange, protocol negotiated, session resumed, names that were left out. */
export function tlsExtras(leg: TlsLeg | undefined): JsonObject | undefined {
  if (leg === undefined) return undefined;
  const { group, alpn, resumed, certificate, clientCertificate } = leg;
  return { group, alpn, resumed, certificate_names: certificate?.names.length, client_certificate: clientCertificate };
}

/** A client that only said hello, or whose TLS went through unread, has a name and a fingerprint but no version. */
function clientText(flow: FlowFacts, withNames: boolean): string {
  const { clientTls: leg, fingerprints, serverName } = flow;
  const hash =
    fingerprints === undefined
      ? ''
      : `,"ja3_hash":{"algorithm_id":${hashAlgorithms.md5},"value":${JSON.stringify(fingerprints.ja3Hash)}}`;
  if (leg !== undefined) {
    const certificate = withNames ? certificateText(leg, true) : '';
    return `${legText(leg, leg.serverName ?? serverName)}${certificate}${hash}`;
  }
  return hash === '' ? '' : `${members({ version: 'unknown', sni: nameOf(serverName) })}${hash}`;
}

function legText({ version, cipher, handshakeMs }: TlsLeg, serverName: string | undefined): string {
  return members({
    version: version === '' ? 'unknown' : version,
    cipher: cipher === '' ? undefined : cipher,
    sni: nameOf(serverName),
    handshake_dur: Math.round(handshakeMs),
  });
}

/** The longest name of the DNS; what a peer sends may be longer. */
const longestName = 253;

function nameOf(name: string | undefined): string | undefined {
  return name === undefined ? undefined : cut(name, longestName);
}

interface CertificateTexts {
  /** Its members without the names. */
  readonly facts: string;
  /** Its names, written with the first flow that needs them. */
  names: string | undefined;
}

/** Certificates come back with every session of their host: each is written once. */
const certificates = new WeakMap<CertificateFacts, CertificateTexts>();

function certificateText({ certificate }: TlsLeg, withNames: boolean): string {
  if (certificate === undefined) return '';
  let texts = certificates.get(certificate);
  if (texts === undefined) {
    texts = { facts: factsText(certificate), names: undefined };
    certificates.set(certificate, texts);
  }
  if (!withNames) return `,"certificate":{${texts.facts}}`;
  texts.names ??= namesText(certificate);
  return `,"certificate":{${texts.facts},"sans":${texts.names}}`;
}

function factsText(certificate: CertificateFacts): string {
  return members({
    subject: cut(certificate.subject, limits.recordDetailBytes),
    issuer: cut(certificate.issuer, limits.recordDetailBytes),
    serial_number: cut(certificate.serialNumber, limits.recordDetailBytes),
    fingerprints: [{ algorithm_id: hashAlgorithms.sha256, value: certificate.fingerprint256 }],
    created_time: certificate.notBefore,
    expiration_time: certificate.notAfter,
    is_self_signed: certificate.selfSigned,
  });
}

function namesText({ names }: CertificateFacts): string {
  return JSON.stringify(
    names
      .slice(0, limits.recordCertificateNames)
      .map(({ kind, value }) => ({ type: kind === 'dns' ? 'DNS' : 'IP Address', name: cut(value, longestName) })),
  );
}
