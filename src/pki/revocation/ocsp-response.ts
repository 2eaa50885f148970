import { readAlgorithm } from '../certificate.ts';
import { DerError, DerReader, type DerValue, readInteger, readOid, readSmallInteger, readTime } from '../der-reader.ts';
import { contextConstructed, contextPrimitive, tags } from '../der-tags.ts';
import { oids } from '../oids.ts';
import { readSigned, type SignedObject } from './signed-object.ts';

/** A signed answer of an OCSP responder, taken apart (RFC 6960 section 4.2). */
export interface OcspResponse extends SignedObject {
  readonly responder: ResponderId;
  readonly answers: readonly OcspAnswer[];
  /** DER of the certificates that came with it. */
  readonly certificates: readonly Buffer[];
  /** It has an extension that is critical: none is understood here. */
  readonly hasCriticalExtension: boolean;
}

/** Whoever signed it: by name (DER) or by SHA-1 of the key. */
export type ResponderId =
  | { readonly kind: 'name'; readonly name: Buffer }
  | { readonly kind: 'key'; readonly hash: Buffer };

/** What it says of one certificate. */
export interface OcspAnswer {
  readonly hashAlgorithm: string;
  readonly issuerNameHash: Buffer;
  readonly issuerKeyHash: Buffer;
  readonly serialOctets: Buffer;
  readonly status: 'good' | 'unknown' | { readonly sinceMs: number; readonly reason: number | undefined };
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number | undefined;
}

/** Answers that are looked at; responders send one, or some that they batch. */
const mostAnswers = 32;
/** A delegated signer, and what else a responder believes to be useful. */
const mostCertificates = 8;

/** Responders that do not answer say why (RFC 6960 section 4.2.1). */
const failures: Readonly<Record<number, string>> = {
  1: 'malformedRequest',
  2: 'internalError',
  3: 'tryLater',
  5: 'sigRequired',
  6: 'unauthorized',
};

/** Takes an answer apart; the text of the responder's own error when it gave none. Throws DerError. */
export function parseOcspResponse(der: Buffer): OcspResponse | string {
  const outer = new DerReader(der);
  const reader = outer.enter();
  outer.end();
  const status = readSmallInteger(reader.read(0x0a).content);
  const wrapper = reader.optional(contextConstructed(0));
  reader.end();
  if (status !== 0) return `responder says ${failures[status] ?? 'error'}`;
  if (wrapper === undefined) throw new DerError('no response bytes');
  const bytes = new DerReader(wrapper.content).enter();
  if (readOid(bytes.read(tags.oid).content) !== oids.ocspBasic) throw new DerError('not a basic OCSP response');
  const basic = new DerReader(bytes.read(tags.octetString).content);
  bytes.end();
  const response = parseBasic(basic.enter());
  basic.end();
  return response;
}

function parseBasic(reader: DerReader): OcspResponse {
  const object = readSigned(reader);
  const certificates = readCertificates(reader.optional(contextConstructed(0)));
  reader.end();
  const body = new DerReader(object.signed).enter();
  const version = body.optional(contextConstructed(0));
  if (version !== undefined && !version.content.equals(Buffer.of(2, 1, 0))) throw new DerError('OCSP version');
  const responder = readResponder(body.read());
  readGeneralizedTime(body);
  const list = body.enter();
  const extensions = body.optional(contextConstructed(1));
  body.end();
  const parsed: (OcspAnswer & { readonly critical: boolean })[] = [];
  while (!list.atEnd) {
    if (parsed.length === mostAnswers) throw new DerError('too many answers');
    parsed.push(readAnswer(list.enter()));
  }
  return {
    ...object,
    responder,
    answers: parsed,
    certificates,
    hasCriticalExtension: isCritical(extensions) || parsed.some(({ critical }) => critical),
  };
}

function readResponder({ tag, content }: DerValue): ResponderId {
  const reader = new DerReader(content);
  if (tag === contextConstructed(1)) return { kind: 'name', name: reader.read(tags.sequence).whole };
  if (tag === contextConstructed(2)) return { kind: 'key', hash: reader.read(tags.octetString).content };
  throw new DerError('not a responder');
}

function readAnswer(reader: DerReader): OcspAnswer & { readonly critical: boolean } {
  const id = reader.enter();
  const hashAlgorithm = readAlgorithm(id.enter()).oid;
  const issuerNameHash = id.read(tags.octetString).content;
  const issuerKeyHash = id.read(tags.octetString).content;
  const serialOctets = readInteger(id.read(tags.integer).content);
  id.end();
  const status = readStatus(reader.read());
  const thisUpdateMs = readGeneralizedTime(reader);
  const next = reader.optional(contextConstructed(0));
  const extensions = reader.optional(contextConstructed(1));
  reader.end();
  return {
    hashAlgorithm,
    issuerNameHash,
    issuerKeyHash,
    serialOctets,
    status,
    thisUpdateMs,
    nextUpdateMs: next === undefined ? undefined : readGeneralizedTime(new DerReader(next.content)),
    critical: isCritical(extensions),
  };
}

function readStatus({ tag, content }: DerValue): OcspAnswer['status'] {
  if (tag === contextPrimitive(0) && content.length === 0) return 'good';
  if (tag === contextPrimitive(2) && content.length === 0) return 'unknown';
  if (tag !== contextConstructed(1)) throw new DerError('not a certificate status');
  const reader = new DerReader(content);
  const sinceMs = readGeneralizedTime(reader);
  const reason = reader.optional(contextConstructed(0));
  reader.end();
  return {
    sinceMs,
    reason: reason === undefined ? undefined : readSmallInteger(new DerReader(reason.content).read(0x0a).content),
  };
}

function readGeneralizedTime(reader: DerReader): number {
  return readTime(reader.read(tags.generalizedTime));
}

function readCertificates(wrapper: DerValue | undefined): readonly Buffer[] {
  if (wrapper === undefined) return [];
  const list = new DerReader(wrapper.content).enter();
  const certificates: Buffer[] = [];
  while (!list.atEnd) {
    if (certificates.length === mostCertificates) throw new DerError('too many certificates');
    certificates.push(list.read(tags.sequence).whole);
  }
  return certificates;
}

/** Whether an extension is critical: that needs no reading of what it says. */
function isCritical(wrapper: DerValue | undefined): boolean {
  if (wrapper === undefined) return false;
  const list = new DerReader(wrapper.content).enter();
  let critical = false;
  while (!list.atEnd) {
    const extension = list.enter();
    extension.read(tags.oid);
    critical ||= extension.optional(tags.boolean)?.content[0] === 0xff;
  }
  return critical;
}
