import { pbkdf2Sync } from 'node:crypto';
import type { asn1 as Asn1, pkcs12 as Pkcs12 } from 'node-forge';
import { FlowFailure } from '../core/failures.ts';
import { pemOf } from './pem.ts';

/** What a PKCS#12 file holds. */
export interface Pkcs12Credential {
  /** PEM. */
  readonly certificates: readonly string[];
  readonly keyPem: string;
}

/**
 * Reads a PKCS#12 file, the old ciphers of Windows and Java included; one without a password where there is none. Rejects
 * with FlowFailure GATEWAY_AUTHORITY_KEY, which says nothing of its content.
 */
export async function readPkcs12(file: Buffer, password: string | undefined, from: string): Promise<Pkcs12Credential> {
  // Loaded only here: it takes 10 MB that a running gateway has no use for.
  const { default: forge } = await import('node-forge');
  useUtf8(forge);
  if (password !== undefined) {
    const read = readWith(password, file, from, forge);
    if (read === undefined) throw refusal(`${from} is no PKCS#12 file, or the password is wrong`);
    return read;
  }
  // An empty password and none are two (RFC 7292 appendix B.1): programs write the one or the other.
  const read = readWith('', file, from, forge) ?? readWith(undefined, file, from, forge);
  if (read === undefined) throw refusal(`${from} is no PKCS#12 file, or has a password: name its --password-file`);
  return read;
}

/** Undefined where it is none, or the password is another. */
function readWith(
  password: string | undefined,
  file: Buffer,
  from: string,
  forge: Forge,
): Pkcs12Credential | undefined {
  const der = (value: Asn1.Asn1): Buffer => Buffer.from(forge.asn1.toDer(value).getBytes(), 'latin1');
  try {
    const pfx = forge.pkcs12.pkcs12FromAsn1(forge.asn1.fromDer(file.toString('latin1')), true, password);
    const bags = pfx.safeContents.flatMap(({ safeBags }) => safeBags);
    const { certBag, keyBag, pkcs8ShroudedKeyBag } = forge.pki.oids;
    const keys = bags.filter(({ type }) => type === keyBag || type === pkcs8ShroudedKeyBag);
    const [key] = keys;
    if (key === undefined || keys.length > 1) throw refusal(`${from} holds ${keys.length} private keys, not one`);
    const certificates = bags.filter(({ type }) => type === certBag).map((bag) => der(certificateOf(bag, forge)));
    return {
      certificates: certificates.map((certificate) => pemOf('CERTIFICATE', certificate)),
      keyPem: pemOf('PRIVATE KEY', der(privateKeyInfoOf(key, forge))),
    };
  } catch (error) {
    if (error instanceof FlowFailure) throw error;
    return undefined;
  }
}

type Forge = typeof import('node-forge');

let isPrepared = false;

/**
 * PBES2 takes the password in UTF-8, as all others write it; node-forge takes the low byte of each character, and seconds for
 * the rounds that present programs ask for.
 */
function useUtf8(forge: Forge): void {
  if (isPrepared) return;
  isPrepared = true;
  const derive = (
    password = '',
    salt = '',
    rounds = 1,
    bytes = 0,
    digest?: { readonly algorithm: string } | null,
  ): string =>
    pbkdf2Sync(password, Buffer.from(salt, 'latin1'), rounds, bytes, digest?.algorithm ?? 'sha1').toString('latin1');
  Object.assign(forge.pkcs5, { pbkdf2: derive });
}

/** What it can parse (RSA) is kept parsed, all else (ECDSA) as it was. */
function certificateOf(bag: Pkcs12.Bag, forge: Forge): Asn1.Asn1 {
  return bag.cert === undefined || bag.cert === null ? bag.asn1 : forge.pki.certificateToAsn1(bag.cert);
}

function privateKeyInfoOf(bag: Pkcs12.Bag, forge: Forge): Asn1.Asn1 {
  if (bag.key === undefined || bag.key === null) return bag.asn1;
  return forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(bag.key));
}

function refusal(detail: string): FlowFailure {
  return new FlowFailure('GATEWAY_AUTHORITY_KEY', detail);
}
