import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { LeafRequest } from '../../../src/core/ipc.ts';
import type { LeafKeyType, SubjectName } from '../../../src/core/tls.ts';

/** The key of a relay's leafs. */
export function leafKey(keyType: LeafKeyType): {
  readonly privateKey: KeyObject;
  readonly publicKey: Buffer;
  readonly pem: string;
} {
  const pair =
    keyType === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2_048 })
      : generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return {
    privateKey: pair.privateKey,
    publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }),
    pem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** A request as a relay makes it. */
export function leafRequest(change: Partial<LeafRequest> & { readonly publicKey: Uint8Array }): LeafRequest {
  return {
    keyType: 'ec',
    names: [dns('www.example.com')],
    name: 'www.example.com',
    originNotAfter: Date.now() + 90 * 86_400_000,
    originFingerprint: 'ab'.repeat(32),
    untrusted: false,
    ...change,
  };
}

/** A DNS name. */
export function dns(value: string): SubjectName {
  return { kind: 'dns', value };
}

/** An address. */
export function ip(value: string): SubjectName {
  return { kind: 'ip', value };
}
