import { createServer } from 'node:net';
import { createSecureContext } from 'node:tls';
import { type FarmOrigin, openOrigin } from '../selftest/farm-origin.ts';
import type { PemCredentials } from '../selftest/tls-origin.ts';
import { FileSession, type Shelf } from './file-session.ts';

/** A file server (FTP with AUTH TLS, passive) that keeps what arrives whole. */
export interface FileOrigin extends FarmOrigin {
  readonly files: ReadonlyMap<string, Buffer>;
}

/** Starts a file server on the loopback: our own, because `ftp-srv` of npm is no longer kept and needs packages with known faults. */
export async function openFileOrigin(credentials: PemCredentials): Promise<FileOrigin> {
  const shelf: Shelf = { files: new Map(), contentBytes: 0 };
  const context = createSecureContext(credentials);
  const server = createServer((socket) => new FileSession(socket, context, shelf));
  const origin = await openOrigin(server, () => shelf.contentBytes);
  return { ...origin, files: shelf.files };
}
