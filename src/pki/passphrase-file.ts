import { stat } from 'node:fs/promises';
import { FlowFailure } from '../core/failures.ts';
import { readNamedFile } from './private-files.ts';

/** A pipe or descriptor (`/dev/fd/3`) can be read once only; a reload asks again. */
const spent = new Map<string, string>();

/** Short ones are found by trying. */
const leastBytes = 8;

/**
 * The passphrase in the first line of a file (such as one of systemd's LoadCredential) or behind a descriptor. Rejects
 * with FlowFailure GATEWAY_AUTHORITY_KEY; the detail never holds any of it.
 */
export async function readPassphrase(path: string): Promise<string> {
  const known = spent.get(path);
  if (known !== undefined) return known;
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw refusal(`${path} cannot be read (${error.code})`);
  });
  if (found.isFile() && (found.mode & 0o007) !== 0)
    throw refusal(`${path} can be read by every user: make it mode 0400`);
  const text = await readNamedFile(path).catch((error: Error) => {
    throw refusal(error.message);
  });
  const [passphrase = ''] = text.toString('utf8').split(/\r?\n/, 1);
  if (Buffer.byteLength(passphrase) < leastBytes) {
    throw refusal(`${path} must hold a passphrase of at least ${leastBytes} bytes in its first line`);
  }
  if (!found.isFile()) spent.set(path, passphrase);
  return passphrase;
}

function refusal(detail: string): FlowFailure {
  return new FlowFailure('GATEWAY_AUTHORITY_KEY', detail);
}
