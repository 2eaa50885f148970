import { createPublicKey } from 'node:crypto';
import type { LeafKeyType } from '../core/tls.ts';
import {
  authorityKeyExtension,
  basicConstraintsExtension,
  commonNameOnly,
  extension,
  freshSerialNumber,
  keyIdentifierOf,
  keyUsageExtension,
  signCertificate,
  subjectKeyExtension,
} from './certificate-writer.ts';
import { explicit, implicit, oid, sequence } from './der-writer.ts';
import { certifyRoot, type Issuer, issuerOf, makeKey, uniqueCommonName } from './issuer.ts';
import { oids } from './oids.ts';
import { pemOf } from './pem.ts';

export interface IntermediateWishes {
  readonly keyType: LeafKeyType;
  /** Canonical host names: each permits itself and all below it. None permits everything. */
  readonly permitted: readonly string[];
  readonly now: number;
}

/** A root to be kept offline, and the intermediate below it that signs leafs. */
export interface RootAndIntermediate {
  readonly root: Issuer;
  readonly intermediate: Issuer;
}

/** Three years: it is replaced without touching a client, as long as the root lives. */
const lifetimeMs = 1_095 * 86_400_000;
/** Clocks of clients lag. */
const backdateMs = 86_400_000;

/**
 * Makes a root and below it an intermediate for servers alone, of path length 0 and, where names are given, constrained
 * to them: whoever steals its key can impersonate nobody else. IP addresses are then excluded as a whole.
 */
export async function makeIntermediate(wishes: IntermediateWishes): Promise<RootAndIntermediate> {
  const { keyType, permitted, now } = wishes;
  const commonName = uniqueCommonName();
  const root = await certifyRoot(`${commonName} Root`, await makeKey(keyType), now, 1);
  const key = await makeKey(keyType);
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const der = await signCertificate(
    {
      serialNumber: freshSerialNumber(),
      issuer: root.subjectDer,
      subject: commonNameOnly(commonName),
      notBefore: now - backdateMs,
      notAfter: Math.min(now + lifetimeMs, root.notAfter),
      publicKey,
      extensions: [
        basicConstraintsExtension({ pathLength: 0 }),
        keyUsageExtension('keyCertSign', 'crlSign'),
        extension(oids.extendedKeyUsage, false, sequence(oid(oids.serverAuth))),
        ...(permitted.length === 0 ? [] : [constraints(permitted)]),
        subjectKeyExtension(keyIdentifierOf(publicKey)),
        authorityKeyExtension(root.keyIdentifier),
      ],
    },
    root.key,
  );
  return { root, intermediate: issuerOf([pemOf('CERTIFICATE', der), root.pem], key, now) };
}

/** nameConstraints, critical as RFC 5280 section 4.2.1.10 demands. A form without a subtree would be free. */
function constraints(permitted: readonly string[]): Buffer {
  const hosts = permitted.map((name) => sequence(implicit(2, Buffer.from(name, 'latin1'))));
  const everyAddress = [8, 32].map((length) => sequence(implicit(7, Buffer.alloc(length))));
  return extension(oids.nameConstraints, true, sequence(explicit(0, ...hosts), explicit(1, ...everyAddress)));
}
