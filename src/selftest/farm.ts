import { X509Certificate } from 'node:crypto';
import {
  authorityKeyExtension,
  commonNameOnly,
  extension,
  keyUsageExtension,
  subjectKeyExtension,
} from '../pki/certificate-writer.ts';
import { boolean, implicit, integer, oid, sequence, value } from '../pki/der-writer.ts';
import { ipOctets } from '../pki/ip-address.ts';
import { oids } from '../pki/oids.ts';
import { pemOf } from '../pki/pem.ts';
import { type FarmKey, type KeyKind, makeFarmKey } from './farm-key.ts';
import { type ForgedHash, forgeCertificate } from './forge.ts';
import type { Responder } from './responder.ts';

/** Domain of every host of the farm. No resolver knows it, now or ever (RFC 6761 section 6.4). */
export const farmDomain = 'selftest.invalid';
/** Address of every origin of the farm. */
export const farmAddress = '127.0.0.1';

/** A CA of the farm. */
export interface FarmIssuer {
  readonly subject: Buffer;
  readonly key: FarmKey;
  readonly certificate: Buffer;
  /** What a server sends beside a leaf that it has issued: itself and those above it, without the root. */
  readonly chain: readonly Buffer[];
}

/** What an origin shows, and the key that it has. */
export interface FarmCredentials {
  /** DER, leaf first. */
  readonly certificates: readonly Buffer[];
  readonly key: FarmKey;
}

type ExtensionName =
  | 'basicConstraints'
  | 'keyUsage'
  | 'extendedKeyUsage'
  | 'subjectAltName'
  | 'subjectKey'
  | 'authorityKey'
  | 'more';

/** How a certificate differs from a good one. */
export interface Wishes {
  readonly issuer?: FarmIssuer;
  readonly key?: FarmKey;
  readonly subject?: Buffer;
  /** Names for subjectAltName: texts become host names or addresses, DER stands as it is. */
  readonly names?: readonly (string | Buffer)[];
  /** Hours from now. */
  readonly from?: number;
  readonly until?: number;
  readonly version?: 1 | 3;
  readonly hash?: ForgedHash;
  readonly damaged?: boolean;
  /** Extensions in place of the usual ones; undefined leaves one out. */
  readonly extensions?: { readonly [name in ExtensionName]?: Buffer | undefined };
  /** Name of the issuer, where it is not the issuer's. */
  readonly issuerName?: Buffer;
}

/** How a farm is made. */
export interface FarmOptions {
  readonly rootKey?: FarmKey;
  /** Its roots vouch for nothing outside the farm, so that a gateway that others use may trust them for a while. */
  readonly constrained?: boolean;
  readonly gatewayCa?: FarmIssuer;
  readonly responder?: Responder;
}

const hourMs = 3_600_000;
/** Hours; below a week in all nobody needs to be asked whether they are revoked (CA/B baseline requirements 4.9.10). */
const shortLived = 160;

/** A farm's CAs and keys, and the certificates that they make. */
export class Farm {
  readonly root: FarmIssuer;
  /** A trusted root below which no CA may have a CA. */
  readonly shortRoot: FarmIssuer;
  /** What good leafs are issued by. */
  readonly intermediate: FarmIssuer;
  /** The CA of the gateway under test, where its key is at hand. */
  readonly gatewayCa: FarmIssuer | undefined;
  /** Where revocations are published; undefined where the gateway may not ask on the loopback. */
  readonly responder: Responder | undefined;
  readonly #keys = new Map<KeyKind, FarmKey>();

  constructor({ rootKey, constrained = false, gatewayCa, responder }: FarmOptions = {}) {
    const more = constrained ? { more: farmOnly } : {};
    const key = rootKey ?? makeFarmKey('P-256');
    this.root = this.rootOf('Daylight Self-test Root', { key, extensions: more });
    this.shortRoot = this.rootOf('Daylight Self-test Short Root', {
      key,
      extensions: { basicConstraints: authority(0), ...more },
    });
    this.intermediate = this.issuer('Daylight Self-test Intermediate');
    this.gatewayCa = gatewayCa;
    this.responder = responder;
  }

  /** PEM of what a gateway has to trust so that the farm's good origins are good. */
  get trustedPem(): string {
    return [this.root, this.shortRoot].map(({ certificate }) => pemOf('CERTIFICATE', certificate)).join('');
  }

  /** A key of a kind; the same one each time, since leafs need no key of their own here. */
  key(kind: KeyKind): FarmKey {
    const known = this.#keys.get(kind) ?? makeFarmKey(kind);
    this.#keys.set(kind, known);
    return known;
  }

  /** A self-signed CA. */
  rootOf(commonName: string, wishes: Wishes = {}): FarmIssuer {
    const subject = commonNameOnly(commonName);
    const key = wishes.key ?? makeFarmKey('P-256');
    const self: FarmIssuer = { subject, key, certificate: Buffer.alloc(0), chain: [] };
    const { authorityKey: _, ...own } = authorityExtensions(key, self);
    const certificate = this.#certificate({ ...wishes, issuer: self, key, subject }, own);
    return { subject, key, certificate, chain: [] };
  }

  /** A CA below the root, or below `wishes.issuer`. */
  issuer(commonName: string, wishes: Wishes = {}): FarmIssuer {
    const { issuer = this.root, key = makeFarmKey('P-256'), subject = commonNameOnly(commonName) } = wishes;
    const certificate = this.#certificate({ ...wishes, issuer, key, subject }, authorityExtensions(key, issuer));
    return { subject, key, certificate, chain: [certificate, ...issuer.chain] };
  }

  /** The lowest of some CAs, one below the other, the first below the root. */
  descent(cas: number): FarmIssuer {
    let issuer = this.root;
    for (let depth = 1; depth <= cas; depth++) issuer = this.issuer(`CA ${depth}`, { issuer });
    return issuer;
  }

  /** An origin's certificate with what is sent beside it; by default one that nothing is wrong with. */
  leaf(wishes: Wishes = {}): FarmCredentials {
    const { issuer = this.intermediate, key = this.key('P-256'), names = [`good.${farmDomain}`] } = wishes;
    const subject = wishes.subject ?? commonNameOnly(names.find((name) => typeof name === 'string')?.slice(0, 64));
    const usual: Extensions = {
      basicConstraints: extension(oids.basicConstraints, true, sequence()),
      keyUsage: keyUsageExtension('digitalSignature', 'keyEncipherment'),
      extendedKeyUsage: purposes(oids.serverAuth),
      subjectAltName: alternativeNames(...names),
      subjectKey: subjectKeyExtension(key.identifier),
      authorityKey: authorityKeyExtension(issuer.key.identifier),
    };
    const certificate = this.#certificate({ ...wishes, issuer, key, subject }, usual);
    return { certificates: [certificate, ...issuer.chain], key };
  }

  #certificate(wishes: Wishes & { issuer: FarmIssuer; key: FarmKey; subject: Buffer }, usual: Extensions): Buffer {
    const {
      issuer,
      key,
      subject,
      from = -2,
      until = shortLived,
      version = 3,
      hash = 'sha256',
      damaged = false,
    } = wishes;
    const now = Date.now();
    const extensions = Object.values({ ...usual, ...wishes.extensions });
    return forgeCertificate(
      {
        version,
        issuer: wishes.issuerName ?? issuer.subject,
        subject,
        notBefore: now + from * hourMs,
        notAfter: now + until * hourMs,
        publicKey: key.publicKey,
        extensions: extensions.filter((each) => each !== undefined),
        hash,
        damaged,
      },
      issuer.key,
    );
  }
}

type Extensions = { readonly [name in ExtensionName]?: Buffer | undefined };

function authorityExtensions(key: FarmKey, issuer: FarmIssuer): Extensions {
  return {
    basicConstraints: authority(),
    keyUsage: keyUsageExtension('keyCertSign', 'crlSign'),
    subjectKey: subjectKeyExtension(key.identifier),
    authorityKey: authorityKeyExtension(issuer.key.identifier),
  };
}

/** basicConstraints of a CA. */
export function authority(pathLength?: number): Buffer {
  const length = pathLength === undefined ? [] : [integer(pathLength)];
  return extension(oids.basicConstraints, true, sequence(boolean(true), ...length));
}

/** extendedKeyUsage. */
export function purposes(...identifiers: readonly string[]): Buffer {
  return extension(oids.extendedKeyUsage, false, sequence(...identifiers.map(oid)));
}

/** subjectAltName: texts become host names or addresses, DER stands as it is. */
export function alternativeNames(...names: readonly (string | Buffer)[]): Buffer {
  return extension(oids.subjectAltName, false, sequence(...names.map(generalName)));
}

/** nameConstraints, critical; texts as in `alternativeNames`, but addresses as octets with mask. */
export function nameConstraints(subtrees: {
  readonly permitted?: readonly (string | Buffer)[];
  readonly excluded?: readonly (string | Buffer)[];
}): Buffer {
  const list = (number: number, names: readonly (string | Buffer)[] = []): readonly Buffer[] =>
    names.length === 0 ? [] : [value(0xa0 | number, ...names.map((name) => sequence(generalName(name))))];
  return extension(oids.nameConstraints, true, sequence(...list(0, subtrees.permitted), ...list(1, subtrees.excluded)));
}

/** A name of the kind that its context tag says (RFC 5280 section 4.2.1.6): 1 mail, 2 host, 6 URI, 7 address. */
export function taggedName(tag: number, octets: string | Buffer): Buffer {
  return implicit(tag, typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets);
}

/** SHA-256 of a certificate as Node writes it. */
export function fingerprintOf(certificate: Buffer): string {
  return new X509Certificate(certificate).fingerprint256;
}

function generalName(name: string | Buffer): Buffer {
  if (typeof name !== 'string') return name;
  const octets = ipOctets(name);
  return octets === undefined ? taggedName(2, name) : taggedName(7, octets);
}

const loopback = Buffer.from('7f000000ff000000', 'hex');
const farmOnly = nameConstraints({ permitted: [farmDomain, taggedName(7, loopback)] });
