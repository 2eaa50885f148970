import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { chmod, link, lstat, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';

/** What may lie in a directory that still counts as empty: version control puts it there. */
const placeholders = new Set(['.gitkeep', '.gitignore', '.keep', 'README.md']);

/**
 * Makes sure that a directory is the user's own and closed to all others. A missing one is created so; one that is wider
 * and empty is tightened; one that is wider and not empty is refused, because its keys may have been read already.
 */
export async function ensurePrivateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  if (found.isSymbolicLink()) throw refusal(`${directory} is a symbolic link`);
  if (!found.isDirectory()) throw refusal(`${directory} is not a directory`);
  refuseOtherOwner(directory, found);
  if ((found.mode & 0o077) === 0) return;
  const entries = await readdir(directory);
  if (entries.every((entry) => placeholders.has(entry))) return chmod(directory, 0o700);
  // Another process may have tightened and filled it just now.
  if (((await lstat(directory)).mode & 0o077) === 0) return;
  throw refusal(`${directory} has mode ${octal(found)}, wider than 0700, and is not empty`);
}

/** Refuses a directory that is missing or wider than ensurePrivateDirectory leaves it; changes nothing. */
export async function checkPrivateDirectory(directory: string): Promise<void> {
  const found = await lstat(directory).catch(() => undefined);
  if (found === undefined) throw refusal(`${directory} does not exist`);
  if (!found.isDirectory()) throw refusal(`${directory} is not a directory`);
  refuseOtherOwner(directory, found);
  if ((found.mode & 0o077) !== 0) throw refusal(`${directory} has mode ${octal(found)}, wider than 0700`);
}

/**
 * Reads a file of the authority; undefined when it does not exist. It must be a regular file of the user's own, no link;
 * with `secret` also of mode 0600 or less. What was checked is what is read: one descriptor serves both.
 */
export async function readOwnFile(path: string, secret: boolean): Promise<string | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    if (error.code === 'ELOOP') throw refusal(`${path} is a symbolic link`);
    throw refusal(`${path} cannot be read (${error.code})`);
  });
  if (handle === undefined) return undefined;
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw refusal(`${path} is not a file`);
    refuseOtherOwner(path, found);
    if (secret && (found.mode & 0o077) !== 0) throw refusal(`${path} has mode ${octal(found)}, wider than 0600`);
    if (found.size > limits.credentialFileBytes) throw refusal(`${path} is too large`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** Reads a file that an operator named, whoever owns it; bounded. Rejects with Error whose text names the path. */
export async function readNamedFile(path: string): Promise<Buffer> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${path} cannot be read (${error.code})`);
  });
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    // Not by size: a password may come from a pipe.
    for await (const chunk of handle.createReadStream({ autoClose: false })) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > limits.credentialFileBytes) throw new Error(`${path} is too large`);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw code === undefined ? error : new Error(`${path} cannot be read (${code})`);
  } finally {
    await handle.close();
  }
}

/** Who but its owner may read a file that an operator named; undefined where nobody may, or it is no file. */
export async function exposureOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true || (found.mode & 0o077) === 0) return undefined;
  return `${path} has mode ${octal(found)}, wider than 0600`;
}

/** Replaces a file as a whole: no reader ever sees a part of it. */
export async function replaceFile(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const temporary = await writeTemporary(path, content, mode);
  await rename(temporary, path);
}

/** Publishes a whole file unless one is there. False when another process was first. */
export async function createFile(path: string, content: string | Uint8Array, mode: number): Promise<boolean> {
  const temporary = await writeTemporary(path, content, mode);
  try {
    return await linkOnce(temporary, path);
  } finally {
    await unlink(temporary);
  }
}

/** Gives a file a second name. False when that name is taken, or the file is gone: another process has gone further. */
export async function linkOnce(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    throw error;
  }
}

/** Removes a file that may be gone already. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/** Written beside its place, so that the rename stays in one file system, and to the device before it gets its name. */
async function writeTemporary(path: string, content: string | Uint8Array, mode: number): Promise<string> {
  const temporary = join(dirname(path), `.tmp-${randomBytes(8).toString('hex')}`);
  const handle = await open(temporary, 'wx', mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return temporary;
}

function refuseOtherOwner(path: string, found: Stats): void {
  const user = process.geteuid?.();
  if (user !== undefined && found.uid !== user) {
    throw refusal(`${path} belongs to user ${found.uid}, the gateway runs as ${user}`);
  }
}

function octal(found: Stats): string {
  return (found.mode & 0o7777).toString(8).padStart(4, '0');
}

function refusal(detail: string): FlowFailure {
  return new FlowFailure('GATEWAY_AUTHORITY_KEY', detail);
}
