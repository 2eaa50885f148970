import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { compileHostPatterns } from '../codec/host.ts';
import type { OriginClientCertificate, OriginException, PolicyDocument } from '../core/policy.ts';
import { noFloor, type OriginFloor } from '../pki/origin-floor.ts';
import { readSecretFile } from '../pki/secret-file.ts';
import { type OriginKeyShares, originTlsOptions } from '../pki/tls-options.ts';

/** What decides the TLS context of an origin leg. */
export interface OriginContextWish {
  readonly exception: OriginException | undefined;
  /** Key shares of the first flight; all groups are offered in any case. */
  readonly keyShares: OriginKeyShares;
  readonly floor: OriginFloor;
  readonly clientCertificate: OriginClientCertificate | undefined;
}

/** Makes the contexts of a policy, each when it is first needed: parsing 140 roots takes tens of milliseconds. */
export function originContexts(document: PolicyDocument): (wish: OriginContextWish) => SecureContext {
  const ca = [...document.originTrust.rootsPem];
  const { minVersion } = document.tls.origin;
  const credentials = credentialsOf(document);
  const contexts = new Map<string, SecureContext>();
  const contextOf = (wish: OriginContextWish): SecureContext => {
    const { exception, clientCertificate } = wish;
    // An exception for an old protocol is for clients that speak a newer one: what it allows stands.
    const floor = opensOldProtocol(exception) ? noFloor : wish.floor;
    const keyShares = exception === undefined && !floor.hybrid ? wish.keyShares : 'all';
    const numbers = [document.originExceptions, document.originClientCertificates.certificates].map((list, index) =>
      (list as readonly unknown[]).indexOf([exception, clientCertificate][index]),
    );
    const key = [...numbers, keyShares, floor.tls13, floor.hybrid, floor.strong].join();
    const present = contexts.get(key);
    if (present !== undefined) return present;
    const options = originTlsOptions({ minVersion, exceptions: exception?.allow ?? [], keyShares, floor });
    const own = clientCertificate === undefined ? {} : credentials.get(clientCertificate);
    const context = createSecureContext({ ...options, ca, ...own });
    contexts.set(key, context);
    return context;
  };
  for (const keyShares of ['all', 'classical'] as const) {
    contextOf({ exception: undefined, keyShares, floor: noFloor, clientCertificate: undefined });
  }
  return contextOf;
}

const oldProtocols: ReadonlySet<string> = new Set<OriginException['allow'][number]>([
  'tls1.0',
  'tls1.1',
  'rsa-key-exchange',
  'dhe-key-exchange',
]);

/** Whether an exception allows a protocol that the floor of a client would not. */
export function opensOldProtocol(exception: OriginException | undefined): boolean {
  return exception?.allow.some((allowed) => oldProtocols.has(allowed)) ?? false;
}

/** Finds the certificate that an origin may be shown: its host and the asset of the flow must both fit. */
export function clientCertificateLookup({ originClientCertificates }: PolicyDocument) {
  const entries = originClientCertificates.certificates.map((entry) => ({
    entry,
    matchesHost: entry.hosts.length === 0 ? () => true : compileHostPatterns(entry.hosts),
    assets: new Set(entry.assets),
  }));
  return (host: string, assetId: string | undefined): OriginClientCertificate | undefined =>
    entries.find(
      ({ matchesHost, assets }) =>
        matchesHost(host) && (assets.size === 0 || (assetId !== undefined && assets.has(assetId))),
    )?.entry;
}

interface Credentials {
  readonly cert: string;
  readonly key: string;
}

/** Read once for each policy. Throws at load when a key is not kept as a secret or does not fit its certificate. */
function credentialsOf({
  originClientCertificates,
}: PolicyDocument): ReadonlyMap<OriginClientCertificate, Credentials> {
  return new Map(
    originClientCertificates.certificates.map((entry) => {
      const credentials = { cert: readFileSync(entry.certFile, 'utf8'), key: readSecretFile(entry.keyFile) };
      createSecureContext(credentials);
      return [entry, credentials];
    }),
  );
}
