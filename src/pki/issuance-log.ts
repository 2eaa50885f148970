import { hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { appendFile, open, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { FlowFailure } from '../core/failures.ts';
import type { IssuedLeaf, LeafRequest } from '../core/ipc.ts';
import { limits } from '../core/limits.ts';
import { strike } from '../core/simulation.ts';
import { parseCertificate } from './certificate.ts';
import { distinguishedNameText } from './distinguished-name.ts';
import { authorityKeyIdentifierOf, subjectAltNamesOf } from './extensions.ts';
import { ipText } from './ip-address.ts';
import { certificatesInPem } from './pem.ts';

/** What checking a log found. */
export interface IssuanceAudit {
  readonly lines: number;
  /** Number (from 1) of the first line that does not follow from the one before it. */
  readonly brokenAt: number | undefined;
  /** Number of the line that was asked for by its hash; undefined when it is not in the log. */
  readonly foundAt?: number | undefined;
}

const fileName = 'issued.ndjson';
const setAside = /^issued-[0-9TZ-]+\.ndjson$/;
/** What the very first line follows. */
const beginning = '0'.repeat(64);

export interface IssuanceLogOptions {
  /** Whether a leaf that cannot be logged is refused ('stop', the default: STIP FAU_STG.5) or handed out. */
  readonly onFailure?: 'stop' | 'continue';
  /** Size at which the file is set aside. */
  readonly bytes?: number;
}

/**
 * Every leaf that was ever issued, one line each, linked to the certificate of the origin (STIP FDP_CER_EXT.2). Each line
 * holds the SHA-256 of the line before it, over file borders too, so that none can be changed or left out unseen.
 */
export class IssuanceLog {
  /** Leafs that were issued without a line, because it could not be written and policy says to go on. */
  lost = 0;
  readonly #directory: string;
  readonly #bytes: number;
  readonly #onFailure: 'stop' | 'continue';
  #previous: string | undefined;
  #length = 0;
  #queue: Promise<unknown> = Promise.resolve();

  /** The log of an authority's directory. One at a time: two would break each other's chain. */
  constructor(directory: string, options: IssuanceLogOptions = {}) {
    this.#directory = directory;
    this.#bytes = options.bytes ?? limits.issuanceLogBytes;
    this.#onFailure = options.onFailure ?? 'stop';
  }

  /** Resolves when the line is handed to the kernel; rejects with FlowFailure GATEWAY_LEAF_FAILED when policy says to stop. */
  append(leaf: IssuedLeaf, request: LeafRequest, now: number = Date.now()): Promise<void> {
    // One after another, in the order of asking: each line needs the hash of the one before.
    const written = this.#queue.then(() => this.#write(issuance(leaf, request), now));
    this.#queue = written.catch(() => {});
    return written.catch((error: NodeJS.ErrnoException) => {
      this.lost++;
      // What was written of the line is unknown: the next one starts from what the file says.
      this.#previous = undefined;
      if (this.#onFailure === 'continue') return;
      throw new FlowFailure('GATEWAY_LEAF_FAILED', `the issuance log cannot be written (${error.code ?? 'unknown'})`);
    });
  }

  /** SHA-256 of the last line; zeros where there is none. Takes the chain up where this process has not written yet. */
  head(): Promise<string> {
    const resumed = this.#queue.then(() => this.#previous ?? this.#resume(join(this.#directory, fileName)));
    this.#queue = resumed.catch(() => {});
    return resumed;
  }

  /** Resolves when every line so far is on the device. Leafs do not wait for it: what is written meanwhile may go there too. */
  async synchronize(): Promise<void> {
    await synchronize(join(this.#directory, fileName));
    await synchronize(this.#directory);
  }

  /**
   * Whether the log goes on from what was sealed: the line with that hash is in it. Looked for from the newest file back,
   * for the last seal is 10 seconds old at most. No seal is right for a log without a line alone.
   */
  async goesOnFrom(sealed: string | undefined): Promise<boolean> {
    await this.head();
    if (sealed === this.#previous || sealed === beginning) return true;
    if (sealed === undefined) return this.#previous === beginning;
    for (const file of [fileName, ...(await setAsideFiles(this.#directory)).toReversed()]) {
      if (await holdsLine(join(this.#directory, file), sealed)) return true;
    }
    return false;
  }

  /** Resolves when every line asked for so far is written. */
  async close(): Promise<void> {
    await this.#queue;
  }

  async #write(entry: object, now: number): Promise<void> {
    const path = join(this.#directory, fileName);
    if (this.#previous === undefined) await this.#resume(path);
    if (this.#length >= this.#bytes) {
      // Under its other name nobody looks for what of it is not on the device yet.
      await synchronize(path);
      await rename(path, join(this.#directory, `issued-${stamp(now)}.ndjson`));
      this.#length = 0;
    }
    const line = JSON.stringify({ time: new Date(now).toISOString(), ...entry, previous: this.#previous });
    strike('issuance-log', 'ENOSPC');
    await appendFile(path, `${line}\n`, { mode: 0o600 });
    this.#previous = hash('sha256', line, 'hex');
    this.#length += Buffer.byteLength(line) + 1;
  }

  /** Takes up the chain where the newest file ends; a line that a crash cut short is ended, and stays visible as broken. */
  async #resume(path: string): Promise<string> {
    const length = await sizeOf(path);
    const newest = length > 0 ? path : await newestSetAside(this.#directory);
    const last = newest === undefined ? undefined : await lastLine(newest);
    if (last !== undefined && !last.ended && newest === path) await appendFile(path, '\n');
    const head = last === undefined ? beginning : hash('sha256', last.text, 'hex');
    this.#previous = head;
    this.#length = length;
    return head;
  }
}

/** Follows the chain through the files of a directory, oldest first, and looks for the line with a hash. */
export async function auditIssuanceLog(directory: string, sought?: string): Promise<IssuanceAudit> {
  const files = [
    ...(await setAsideFiles(directory)),
    ...((await sizeOf(join(directory, fileName))) > 0 ? [fileName] : []),
  ];
  let previous: string | undefined;
  let lines = 0;
  let foundAt = sought === beginning ? 0 : undefined;
  for (const file of files) {
    for await (const line of createInterface({ input: createReadStream(join(directory, file)) })) {
      lines++;
      // The oldest files may have been archived elsewhere: then the chain is followed from the first line that is here.
      if (previous !== undefined && previousOf(line) !== previous) return { lines, brokenAt: lines };
      if (previousOf(line) === undefined) return { lines, brokenAt: lines };
      previous = hash('sha256', line, 'hex');
      if (previous === sought) foundAt = lines;
    }
  }
  return { lines, brokenAt: undefined, ...(sought === undefined ? {} : { foundAt }) };
}

async function holdsLine(path: string, sought: string): Promise<boolean> {
  if ((await sizeOf(path)) === 0) return false;
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (hash('sha256', line, 'hex') === sought) return true;
  }
  return false;
}

/** What was issued, read from the leaf itself, and for whom. */
function issuance({ chainPem }: IssuedLeaf, request: LeafRequest): object {
  const der = certificatesInPem(chainPem)[0] ?? Buffer.alloc(0);
  const leaf = parseCertificate(der);
  return {
    serialNumber: leaf.serialNumber,
    fingerprint256: hash('sha256', der, 'hex'),
    issuer: distinguishedNameText(leaf.issuer),
    issuerKey: authorityKeyIdentifierOf(leaf.extensions)?.toString('hex'),
    name: request.name,
    names: subjectAltNamesOf(leaf.extensions).map(({ kind, octets }) =>
      kind === 'ip' ? ipText(octets) : octets.toString('latin1'),
    ),
    notBefore: new Date(leaf.notBefore).toISOString(),
    notAfter: new Date(leaf.notAfter).toISOString(),
    originFingerprint: request.originFingerprint,
    untrusted: request.untrusted,
  };
}

function previousOf(line: string): string | undefined {
  try {
    const { previous } = JSON.parse(line);
    return typeof previous === 'string' ? previous : undefined;
  } catch {
    return undefined;
  }
}

/** Waits until a file, or what a directory lists, is on the device; one that is not there needs nothing. */
async function synchronize(path: string): Promise<void> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  try {
    await handle?.sync();
  } finally {
    await handle?.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function setAsideFiles(directory: string): Promise<readonly string[]> {
  // The time in the name sorts as text.
  return (await readdir(directory)).filter((name) => setAside.test(name)).sort();
}

async function newestSetAside(directory: string): Promise<string | undefined> {
  const newest = (await setAsideFiles(directory)).at(-1);
  return newest === undefined ? undefined : join(directory, newest);
}

async function lastLine(path: string): Promise<{ readonly text: string; readonly ended: boolean }> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    // A line holds at most 1 000 names of 253 bytes.
    const tail = Buffer.alloc(Math.min(size, 524_288));
    await handle.read(tail, 0, tail.length, size - tail.length);
    const text = tail.toString('utf8');
    const ended = text.endsWith('\n');
    return { text: (ended ? text.slice(0, -1) : text).split('\n').at(-1) ?? '', ended };
  } finally {
    await handle.close();
  }
}

function stamp(now: number): string {
  return new Date(now).toISOString().replace(/[:.]/g, '-');
}
