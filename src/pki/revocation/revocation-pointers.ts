import type { Certificate, Extension } from '../certificate.ts';
import { DerError, DerReader, readOid } from '../der-reader.ts';
import { contextPrimitive, tags } from '../der-tags.ts';
import { oids } from '../oids.ts';
import { distributionPointsOf } from './distribution-points.ts';

/** Where a certificate says that it can be asked about, and what it promises. */
export interface RevocationPointers {
  /** http URLs, in the order of the certificate. */
  readonly responders: readonly string[];
  readonly crls: readonly string[];
  /** The origin must staple (RFC 7633). */
  readonly mustStaple: boolean;
  /** Nobody revokes it: it says so (RFC 9608), or it lives so short that its CA need not (CA/B baseline requirements 4.9.10). */
  readonly exempt: boolean;
}

/** URLs of each kind that are asked; public certificates name one. */
const mostUrls = 3;
const longestUrl = 1_024;
/** Short-lived as the baseline requirements have it since 2026-03-15: notAfter - notBefore, to the second. */
const shortLifeMs = 7 * 86_400_000;
/** status_request, as a TLS feature. */
const statusRequest = Buffer.of(5);

/** Reads where a certificate can be asked about. What is malformed in it names nothing. */
export function revocationPointersOf(certificate: Certificate): RevocationPointers {
  const { extensions, notBefore, notAfter } = certificate;
  return {
    responders: lenient(() => respondersOf(extensions.get(oids.authorityInfoAccess))),
    crls: lenient(() => crlUrlsOf(certificate)),
    mustStaple: mustStaple(extensions.get(oids.tlsFeature)),
    exempt: extensions.has(oids.noRevocationAvailable) || notAfter - notBefore <= shortLifeMs,
  };
}

function respondersOf(extension: Extension | undefined): readonly string[] {
  if (extension === undefined) return [];
  const list = new DerReader(extension.value).enter();
  const urls: string[] = [];
  while (!list.atEnd) {
    const access = list.enter();
    const isResponder = readOid(access.read(tags.oid).content) === oids.ocsp;
    const url = urlOf(access.read().whole);
    if (isResponder && url !== undefined) urls.push(url);
  }
  return urls.slice(0, mostUrls);
}

function crlUrlsOf(certificate: Certificate): readonly string[] {
  const names = distributionPointsOf(certificate).flatMap(({ name }) => (name?.kind === 'full' ? name.names : []));
  return names.flatMap((name) => urlOf(name) ?? []).slice(0, mostUrls);
}

/** Over https its own certificate would have to be checked first; ldap is gone from public certificates. */
function urlOf(generalName: Buffer): string | undefined {
  const { tag, content } = new DerReader(generalName).read();
  const text = content.toString('latin1');
  if (tag !== contextPrimitive(6) || text.length > longestUrl || !/^http:\/\/[\x21-\x7e]+$/i.test(text))
    return undefined;
  return URL.canParse(text) ? text : undefined;
}

/** What cannot be read may demand it. */
function mustStaple(extension: Extension | undefined): boolean {
  if (extension === undefined) return false;
  try {
    const list = new DerReader(extension.value).enter();
    while (!list.atEnd) if (list.read(tags.integer).content.equals(statusRequest)) return true;
    return false;
  } catch (error) {
    if (error instanceof DerError) return true;
    throw error;
  }
}

function lenient(read: () => readonly string[]): readonly string[] {
  try {
    return read();
  } catch (error) {
    if (error instanceof DerError) return [];
    throw error;
  }
}
