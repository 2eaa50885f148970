import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import type * as Koffi from 'koffi';
import { FlowFailure } from '../core/failures.ts';

/** The calls of the C library that Node does not offer. Results below zero are failures; see `systemErrorName`. */
export interface Libc {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  listen(fd: number, backlog: number): number;
  close(fd: number): number;
  getsockname(fd: number, address: Buffer, length: [number]): number;
  getsockopt(fd: number, level: number, option: number, value: Buffer, length: [number]): number;
  setsockopt(fd: number, level: number, option: number, value: Buffer, length: number): number;
  /** Gives free blocks back to the system; a C library without it (musl) does nothing. */
  trimMemory(): void;
  /** Name of the error of the last call of this thread, e.g. `EADDRINUSE`. */
  errorName(): string;
}

let loaded: Libc | undefined;

/** The C library, loaded on first use. Throws FlowFailure GATEWAY_SOCKET_OPTION where there is none that we know. */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

/** Whether the socket options of this folder exist here: their numbers are those of Linux on x86-64 and arm64. */
export const hasSocketOptions = process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64');

function load(): Libc {
  if (!hasSocketOptions) {
    throw new FlowFailure('GATEWAY_SOCKET_OPTION', `not available on ${process.platform} ${process.arch}`);
  }
  try {
    return bindLibc(createRequire(import.meta.url)('koffi') as typeof Koffi);
  } catch (error) {
    throw new FlowFailure('GATEWAY_SOCKET_OPTION', `koffi cannot be loaded: ${String(error)}`);
  }
}

function bindLibc(koffi: typeof Koffi): Libc {
  // The process itself, so that glibc and musl both work: it is linked with one of them.
  const library = koffi.load(null);
  return {
    socket: library.func('int socket(int family, int type, int protocol)'),
    bind: library.func('int bind(int fd, const void *address, uint32_t length)'),
    listen: library.func('int listen(int fd, int backlog)'),
    close: library.func('int close(int fd)'),
    getsockname: library.func('int getsockname(int fd, void *address, _Inout_ uint32_t *length)'),
    getsockopt: library.func('int getsockopt(int fd, int level, int option, void *value, _Inout_ uint32_t *length)'),
    setsockopt: library.func('int setsockopt(int fd, int level, int option, const void *value, uint32_t length)'),
    trimMemory: trimOf(library),
    errorName: () => getSystemErrorName(-koffi.errno()),
  };
}

function trimOf(library: Koffi.LibraryHandle): () => void {
  try {
    const trim = library.func('int malloc_trim(size_t keep)');
    return () => void trim(0);
  } catch {
    return () => {};
  }
}
