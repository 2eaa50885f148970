import { join } from 'node:path';
import { createFile, ensurePrivateDirectory, readOwnFile } from '../pki/private-files.ts';
import { Farm } from '../selftest/farm.ts';
import { type FarmKey, farmKeyFromPem, makeFarmKey } from '../selftest/farm-key.ts';

/**
 * Opens the roots of a directory that is the user's own, or makes them. They vouch for nothing but the farm's names and
 * the loopback, and expire after a week: whoever takes their key can harm nobody.
 */
export async function keptRoots(directory: string): Promise<Farm> {
  await ensurePrivateDirectory(directory);
  const farm = new Farm({ rootKey: await keptKey(join(directory, 'selftest-root.key')), constrained: true });
  // Who trusts the certificates that are there already trusts these: they differ in their time and number alone.
  await createFile(join(directory, 'selftest-root.pem'), farm.trustedPem, 0o644);
  return farm;
}

async function keptKey(file: string): Promise<FarmKey> {
  const kept = await readOwnFile(file, true);
  if (kept !== undefined) return farmKeyFromPem(kept);
  const key = makeFarmKey('P-256');
  await createFile(file, key.privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600);
  return key;
}
