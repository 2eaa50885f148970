import { hash, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { LeafKeyType } from '../core/tls.ts';
import {
  type AuthorityState,
  authorityFiles,
  certificatesText,
  ensureIssuer,
  readAuthority,
  readUntrusted,
} from './authority-files.ts';
import { type AuditLines, activateWhenDue } from './authority-rotation.ts';
import { parseCertificate } from './certificate.ts';
import { IssuanceLog } from './issuance-log.ts';
import { type Issuer, uniqueCommonName } from './issuer.ts';
import { checkPrivateDirectory, ensurePrivateDirectory } from './private-files.ts';

export interface AuthorityOptions {
  /** Key of a CA that is made now. RSA unless every client is known to check ECDSA signatures. */
  readonly keyType?: LeafKeyType;
  /** What happens to a leaf that cannot be logged: it is not issued ('stop', the default), or it is ('continue'). */
  readonly onLogFailure?: 'stop' | 'continue';
  /** Clock, milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Nobody may ever trust it, so its name says what its leafs are for. */
const untrustedCommonName = 'Daylight UNTRUSTED - origin failed verification';

/** Loads the authority of a directory, or makes one on first use. Rejects with FlowFailure GATEWAY_AUTHORITY_KEY. */
export async function loadOrCreateAuthority(directory: string, options: AuthorityOptions = {}): Promise<Authority> {
  const now = options.now ?? Date.now;
  const { keyType = 'rsa' } = options;
  await ensurePrivateDirectory(directory);
  await ensureIssuer(directory, { base: 'ca', commonName: uniqueCommonName(), keyType }, now());
  await ensureIssuer(directory, { base: 'untrusted', commonName: untrustedCommonName, keyType: 'rsa' }, now());
  const untrusted = await readUntrusted(directory, now());
  const authority = new Authority(directory, untrusted, options);
  await authority.reload();
  return authority;
}

/** The local CA: what signs leafs, what clients trust, and its untrusted twin for failure pages. Lives in control alone. */
export class Authority {
  readonly directory: string;
  /** Signs leafs of origins that failed verification. */
  readonly untrusted: Issuer;
  readonly issuanceLog: IssuanceLog;
  readonly #now: () => number;
  #state: AuthorityState | undefined;

  constructor(directory: string, untrusted: Issuer, options: AuthorityOptions) {
    this.directory = directory;
    this.untrusted = untrusted;
    this.#now = options.now ?? Date.now;
    this.issuanceLog = new IssuanceLog(directory, limits.issuanceLogBytes, options.onLogFailure ?? 'stop');
  }

  /** Signs leafs of verified origins. */
  get active(): Issuer {
    return this.#loaded().active;
  }

  /** Path of the certificates that clients trust. */
  get certificateFile(): string {
    return join(this.directory, authorityFiles.certificates);
  }

  /** The certificates that clients trust (PEM): the active CA first. */
  get certificates(): string {
    return certificatesText(this.#loaded());
  }

  /** SHA-256 of the public keys of every CA here: none of them may ever be trusted as an origin's root. */
  get keyFingerprints(): ReadonlySet<string> {
    const { active, next, others } = this.#loaded();
    const issuers = [active, this.untrusted, ...(next === undefined ? [] : [next])];
    return new Set([...issuers.map(({ keyFingerprint256 }) => keyFingerprint256), ...others.map(keyFingerprintOf)]);
  }

  /**
   * Reads the directory again and activates a waiting CA whose time has come. What it says was done is for the log;
   * on a failure the state from before stays.
   */
  async reload(): Promise<AuditLines> {
    await checkPrivateDirectory(this.directory);
    const found = await readAuthority(this.directory, this.#now());
    if (found === undefined) throw new FlowFailure('GATEWAY_AUTHORITY_KEY', `${this.directory} holds no authority`);
    const lines = await activateWhenDue(this.directory, found, this.#now());
    const state = lines.length === 0 ? found : await readAuthority(this.directory, this.#now());
    const changed = this.#state !== undefined && this.#state.active.fingerprint256 !== state?.active.fingerprint256;
    this.#state = state;
    return changed && lines.length === 0 ? [`leafs now come from ${state?.active.subject}`] : lines;
  }

  #loaded(): AuthorityState {
    if (this.#state === undefined) throw new FlowFailure('GATEWAY_AUTHORITY_KEY', 'the authority is not loaded');
    return this.#state;
  }
}

function keyFingerprintOf(pem: string): string {
  return hash('sha256', parseCertificate(new X509Certificate(pem).raw).publicKey.whole, 'hex');
}
