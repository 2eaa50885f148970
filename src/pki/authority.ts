import { join } from 'node:path';
import { FlowFailure } from '../core/failures.ts';
import type { LeafKeyType } from '../core/tls.ts';
import {
  authorityFiles,
  certificatesText,
  encryptKeys,
  ensureIssuer,
  readAuthority,
  readUntrusted,
} from './authority-files.ts';
import { type AuditLines, activateNext } from './authority-rotation.ts';
import { type Issuer, uniqueCommonName } from './issuer.ts';
import { checkPrivateDirectory, ensurePrivateDirectory } from './private-files.ts';

/** The local CA as its directory was when it was loaded; to follow changes, load again. Lives in control alone. */
export interface Authority {
  readonly directory: string;
  /** Path of what clients trust. */
  readonly certificateFile: string;
  /** What clients trust (PEM): the active CA first, then the chain above it, then the CAs of a rotation. */
  readonly certificates: string;
  /** Signs leafs of verified origins. */
  readonly active: Issuer;
  /** Signs leafs of origins that failed verification, for failure pages. */
  readonly untrusted: Issuer;
  /** Waits to be activated. */
  readonly next: Issuer | undefined;
  /** When it becomes active by itself, milliseconds since the epoch. */
  readonly activateAt: number | undefined;
  /** How many earlier CAs clients still trust. */
  readonly earlier: number;
  /** What loading has changed, for the log. */
  readonly changes: AuditLines;
}

export interface AuthorityOptions {
  /** Key of a CA that is made now. RSA unless every client is known to check ECDSA signatures. */
  readonly keyType?: LeafKeyType;
  /** Milliseconds since the epoch. */
  readonly now?: number;
}

/** Nobody may ever trust it, so its name says what its leafs are for. */
const untrustedCommonName = 'Daylight UNTRUSTED - origin failed verification';

/** Loads the authority of a directory, or makes one on first use. Rejects with FlowFailure GATEWAY_AUTHORITY_KEY. */
export async function loadOrCreateAuthority(directory: string, options: AuthorityOptions = {}): Promise<Authority> {
  const { now = Date.now(), keyType = 'rsa' } = options;
  await ensurePrivateDirectory(directory);
  const made = await ensureIssuer(directory, { base: 'ca', commonName: uniqueCommonName(), keyType }, now);
  const authority = await loadAuthority(directory, now);
  return made ? { ...authority, changes: [`made ${authority.active.subject}`, ...authority.changes] } : authority;
}

/** Loads an authority that must be there. Rejects with FlowFailure GATEWAY_AUTHORITY_KEY. */
export async function loadAuthority(directory: string, now: number = Date.now()): Promise<Authority> {
  await checkPrivateDirectory(directory);
  const encrypted = await encryptKeys(directory);
  const found = await present(directory, now);
  const due = found.next !== undefined && found.activateAt !== undefined && found.activateAt <= now;
  const changes = due ? await activate(directory, now) : [];
  const state = due ? await present(directory, now) : found;
  await ensureIssuer(directory, { base: 'untrusted', commonName: untrustedCommonName, keyType: 'rsa' }, now);
  return {
    directory,
    certificateFile: join(directory, authorityFiles.certificates),
    certificates: certificatesText(state),
    active: state.active,
    untrusted: await readUntrusted(directory, now),
    next: state.next,
    activateAt: state.activateAt,
    earlier: state.others.length,
    changes: [...encrypted, ...changes],
  };
}

/** Every CA certificate of ours (PEM): none of their keys may ever be trusted as an origin's root. */
export function ownCertificates(authority: Authority): readonly string[] {
  return [authority.certificates, authority.untrusted.pem];
}

/** A planned activation that fails must not stop a gateway whose present CA is fine; another process may have been first. */
function activate(directory: string, now: number): Promise<AuditLines> {
  return activateNext(directory, now).catch((error: Error) => [`the planned activation failed: ${error.message}`]);
}

async function present(directory: string, now: number) {
  const state = await readAuthority(directory, now);
  if (state === undefined) throw new FlowFailure('GATEWAY_AUTHORITY_KEY', `${directory} holds no authority`);
  return state;
}
