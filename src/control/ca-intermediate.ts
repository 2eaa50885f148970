import { rootBackup } from '../pki/authority-export.ts';
import { type AuditLines, placeFirst } from '../pki/authority-rotation.ts';
import { isCanonicalHostName } from '../pki/host-name.ts';
import { makeIntermediate } from '../pki/intermediate.ts';
import { createFile, ensurePrivateDirectory, removeFile } from '../pki/private-files.ts';
import { type CaOptions, oneOf, readPassword, UsageError, written } from './ca-options.ts';

/** Makes root and intermediate: the root's key goes to a file that the operator takes away, the other one stays. */
export async function createIntermediate(directory: string, values: CaOptions, now: number): Promise<AuditLines> {
  const { 'root-out': out, 'password-file': passwordFile, permit = [] } = values;
  if (out === undefined) throw new UsageError('--intermediate needs --root-out, a file for the root');
  const password = await readPassword(passwordFile, '--root-out');
  const permitted = permit.map(permittedName);
  const keyType = oneOf('key-type', values['key-type'] ?? 'rsa', ['rsa', 'ec']);
  await ensurePrivateDirectory(directory);
  const { root, intermediate } = await makeIntermediate({ keyType, permitted, now });
  const isNew = await written(out, createFile(out, rootBackup(root, password), 0o600));
  if (!isNew) throw new Error(`${out} is there already`);
  // A root without its intermediate is of no use; it would only be taken for one that is.
  const placed = await placeFirst(directory, intermediate).catch(async (error: unknown) => {
    await removeFile(out);
    throw error;
  });
  return [
    ...placed,
    permitted.length === 0 ? 'for every host' : `for ${permitted.join(', ')} and all below, and no IP address`,
    `${out} holds ${root.subject} with its encrypted key: take it offline; clients trust its certificate, in ca.pem`,
  ];
}

function permittedName(name: string): string {
  if (!isCanonicalHostName(name))
    throw new UsageError(`--permit ${name}: a host name in lower case, such as example.com`);
  return name;
}
