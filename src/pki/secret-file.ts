import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { limits } from '../core/limits.ts';

/**
 * Reads a file that holds a private key: a regular file of the user's own, no link, mode 0600 or less. What was checked is
 * what is read: one descriptor serves both. Throws Error whose text names the path and nothing of the content.
 */
export function readSecretFile(path: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(code === 'ELOOP' ? `${path} is a symbolic link` : `${path} cannot be read (${code})`);
  }
  try {
    const found = fstatSync(descriptor);
    const user = process.geteuid?.() ?? found.uid;
    if (!found.isFile() || found.size > limits.credentialFileBytes) throw new Error(`${path} is no file of a key`);
    if (found.uid !== user) throw new Error(`${path} belongs to user ${found.uid}, the gateway runs as ${user}`);
    if ((found.mode & 0o077) !== 0) {
      throw new Error(`${path} has mode ${(found.mode & 0o7777).toString(8).padStart(4, '0')}, wider than 0600`);
    }
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
