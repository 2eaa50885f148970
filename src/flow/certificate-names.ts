import type { CertificateFacts } from '../core/tls.ts';
import { wildcardOver } from '../pki/host-name.ts';

const known = new WeakMap<CertificateFacts, ReadonlySet<string>>();

/** Names of a certificate, made once for all the flows that meet it: some certificates hold hundreds. */
function namesOf(certificate: CertificateFacts): ReadonlySet<string> {
  const present = known.get(certificate);
  if (present !== undefined) return present;
  const names = new Set(certificate.names.map(({ value }) => value));
  known.set(certificate, names);
  return names;
}

/** The name of a certificate that covers a canonical name: itself or a wildcard; undefined when none does. */
export function coveringName(certificate: CertificateFacts, name: string): string | undefined {
  const names = namesOf(certificate);
  if (names.has(name)) return name;
  const wildcard = wildcardOver(name);
  return wildcard !== undefined && names.has(wildcard) ? wildcard : undefined;
}
