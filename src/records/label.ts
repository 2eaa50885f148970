import type { FlowFacts } from '../core/record.ts';

/** What of a flow's content was there to be inspected. Every record carries exactly one. */
export type Label =
  /** Plaintext that was restored from TLS. */
  | 'Decryption Detection'
  /** Encrypted, refused or failed: nothing but metadata is known. */
  | 'Metadata Detection'
  /** Plaintext from the start. */
  | 'Plaintext'
  /** Passed through unread because policy says so. */
  | 'Bypass';

/** Protocols that are encrypted of themselves, or not known. */
const unreadable: ReadonlySet<string> = new Set([
  'tls',
  'tls-sslv2',
  'ssh',
  'rdp',
  'ica',
  'openvpn',
  'opaque',
  'unknown',
]);

/** The label of a flow and of everything in it. */
export function labelOf(flow: FlowFacts): Label {
  if (flow.decrypted) return 'Decryption Detection';
  if (flow.decision?.kind === 'bypass') return 'Bypass';
  const sawTls = flow.fingerprints !== undefined || flow.clientTls !== undefined;
  if (sawTls || flow.protocol === undefined || unreadable.has(flow.protocol)) return 'Metadata Detection';
  return 'Plaintext';
}
