import { hash, type KeyObject } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { FlowFailure } from '../core/failures.ts';
import { octetString, sequence } from './der-writer.ts';
import { privateKeyOf } from './issuer.ts';
import { encryptPbes2 } from './pbes2.ts';
import { pemOf } from './pem.ts';

/**
 * Passphrases of authority directories, in the one process that reads their keys. They come from a file that an operator
 * names, and stand in no argument, no variable of the environment, no policy and no log.
 */
const passphrases = new Map<string, string>();

/** Rounds of key derivation: a fifth of a second once for whoever has the passphrase, and for each guess of who has not. */
const iterations = 600_000;

/** Keys that were decrypted, by file content: loading an authority reads each of them several times. */
const opened = new Map<string, KeyObject>();
const openedAtMost = 8;

/** Keeps the keys of a directory encrypted from now on. */
export function protectKeys(directory: string, passphrase: string): void {
  passphrases.set(resolve(directory), passphrase);
}

/** Text of a key file: PKCS#8, encrypted (PBES2) where its directory has a passphrase. */
export function keyText(key: KeyObject, path: string): string {
  const plain = key.export({ type: 'pkcs8', format: 'der' });
  const passphrase = passphraseFor(path);
  if (passphrase === undefined) return pemOf('PRIVATE KEY', plain);
  const { algorithm, encrypted } = encryptPbes2(plain, passphrase, iterations);
  return pemOf('ENCRYPTED PRIVATE KEY', sequence(algorithm, octetString(encrypted)));
}

/** The key in the text of a file. Throws FlowFailure GATEWAY_AUTHORITY_KEY. */
export function keyInText(text: string, path: string): KeyObject {
  if (!isEncrypted(text)) return privateKeyOf(text, path);
  const passphrase = passphraseFor(path);
  if (passphrase === undefined) {
    throw new FlowFailure(
      'GATEWAY_AUTHORITY_KEY',
      `${path} is encrypted: name its passphrase in authority.passphraseFile`,
    );
  }
  const known = hash('sha256', `${text}\n${passphrase}`, 'hex');
  const key = opened.get(known) ?? privateKeyOf(text, path, passphrase);
  if (opened.size >= openedAtMost) opened.clear();
  opened.set(known, key);
  return key;
}

/** Whether a key file has to be written anew, because it should be encrypted and is not. */
export function lacksProtection(text: string, path: string): boolean {
  return passphraseFor(path) !== undefined && !isEncrypted(text);
}

function isEncrypted(text: string): boolean {
  return /-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(text);
}

function passphraseFor(path: string): string | undefined {
  return passphrases.get(resolve(dirname(path)));
}
