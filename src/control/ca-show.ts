import { join } from 'node:path';
import type { Authority } from '../pki/authority.ts';
import { authorityFiles } from '../pki/authority-files.ts';
import type { Issuer } from '../pki/issuer.ts';

/** How long before its end an authority is called old: enrolling all clients anew takes months. */
const renewalMs = 180 * 86_400_000;

/** An authority as JSON for scripts: stable names, times as ISO 8601, nothing secret. */
export function authorityFacts(authority: Authority, now: number): object {
  const { active, next, untrusted, activateAt } = authority;
  return {
    directory: authority.directory,
    certificateFile: authority.certificateFile,
    keyFile: join(authority.directory, authorityFiles.key),
    active: issuerFacts(active),
    next: next === undefined ? null : issuerFacts(next),
    activateAt: activateAt === undefined ? null : iso(activateAt),
    earlier: authority.earlier,
    untrusted: issuerFacts(untrusted),
    warnings: warningsOf(authority, now),
  };
}

/** An authority for a reader. */
export function authorityText(authority: Authority, now: number): string {
  const { active, next, activateAt, earlier } = authority;
  const lines = [
    'Active authority',
    ...issuerLines(active),
    row('certificate', `${authority.certificateFile} (what clients trust: \`daylight ca export\`)`),
    row('key file', join(authority.directory, authorityFiles.key)),
  ];
  if (next !== undefined) {
    const when = activateAt === undefined ? 'by `daylight ca rotate --activate`' : `at ${iso(activateAt)}`;
    lines.push(
      'Next authority, trusted by clients that have the present ca.pem',
      ...issuerLines(next),
      row('active', when),
    );
  }
  if (earlier > 0)
    lines.push(`Earlier certificates still in ca.pem: ${earlier} (until \`daylight ca rotate --finish\`)`);
  lines.push(...warningsOf(authority, now).map((warning) => `Warning: ${warning}`));
  return `${lines.join('\n')}\n`;
}

function issuerFacts(issuer: Issuer): object {
  return {
    subject: issuer.subject,
    fingerprint256: issuer.fingerprint256,
    notBefore: iso(issuer.notBefore),
    notAfter: iso(issuer.notAfter),
    keyType: issuer.keyName,
    keyIdentifier: issuer.keyIdentifier.toString('hex'),
    chain: issuer.chain.length,
  };
}

function issuerLines(issuer: Issuer): readonly string[] {
  const fingerprint = issuer.fingerprint256.toUpperCase().match(/../g)?.join(':') ?? '';
  return [
    row('subject', issuer.subject),
    row('SHA-256', fingerprint),
    row('key', issuer.keyName),
    row('valid', `${iso(issuer.notBefore)} to ${iso(issuer.notAfter)}`),
    ...(issuer.chain.length === 0 ? [] : [row('chain', `${issuer.chain.length} CA certificate(s) above it`)]),
    ...(issuer.constraints === undefined
      ? []
      : [row('constrained', 'leafs only for what its name constraints permit')]),
  ];
}

function warningsOf({ active, next }: Authority, now: number): readonly string[] {
  const warnings: string[] = [];
  if (next === undefined && active.notAfter - now < renewalMs) {
    warnings.push(`the authority expires ${iso(active.notAfter)}: begin with \`daylight ca rotate\``);
  }
  return [...new Set([...warnings, ...issuerWarnings(active), ...(next === undefined ? [] : issuerWarnings(next))])];
}

/** What an operator may not expect of a CA, beside its age. */
export function issuerWarnings({ subject, keyType, presented, chain }: Issuer): readonly string[] {
  const warnings: string[] = [];
  if (keyType === 'ec') warnings.push('clients that check only RSA signatures refuse an ECDSA authority');
  // What is presented leaves out a root: with none, the chain ends before it.
  if (presented.length > chain.length) {
    warnings.push(
      `the root above ${subject} is not known (\`ca import --chain\`): ca.pem and what is exported do not hold it, so that clients must trust it already`,
    );
  }
  return warnings;
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(13)}${value}`;
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}
