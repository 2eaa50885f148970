import { createHash, type Hash } from 'node:crypto';
import { fileHeadBytes, fileTypeOf, isFileOfItsOwn } from '../codec/file-type.ts';
import type { FileFacts } from '../core/record.ts';
import type { FileFact } from '../core/rule-document.ts';
import { ArchiveObserver } from './observe-archive.ts';

/** What is known of a file before its first byte. */
export interface FileClaims {
  /** All names that the message gives it. */
  readonly names: readonly string[];
  readonly declared: string | undefined;
  /** It is a file because the message says so, whatever it holds. */
  readonly isNamed: boolean;
}

/** What is wanted of files. */
export interface FileWants {
  /** Rules ask for facts of files. */
  readonly facts: boolean;
  readonly hashes: boolean;
  /** Files are told of in the record. */
  readonly records: boolean;
  /** Archives are looked into: not, or for the record where a file is one, or in every file since a rule asks. */
  readonly members: 'none' | 'archives' | 'all';
}

/** Told of facts as they become known: name of the fact, and its values. */
export type FactSink = (fact: FileFact, values: readonly string[]) => void;

const noBytes = Buffer.alloc(0);

/** Looks at one file while its bytes pass: its true type, its size and its hash. */
export class FileObserver {
  readonly #claims: FileClaims;
  readonly #wants: FileWants;
  readonly #tell: FactSink;
  #head: Buffer | undefined = noBytes;
  #type: string | undefined;
  #isRecorded = false;
  #hash: Hash | undefined;
  #size = 0;
  #archive: ArchiveObserver | undefined;

  constructor(claims: FileClaims, wants: FileWants, tell: FactSink) {
    this.#claims = claims;
    this.#wants = wants;
    this.#tell = tell;
    if (wants.members !== 'none')
      this.#archive = new ArchiveObserver(wants.members === 'all', wants.facts ? tell : undefined);
    if (!wants.facts) return;
    if (claims.names.length > 0) tell('name', claims.names);
    if (claims.declared !== undefined) tell('declared', [mediaType(claims.declared)]);
  }

  /** Whether further bytes could tell anything. */
  get isWanted(): boolean {
    return this.#head !== undefined || this.#hash !== undefined || this.#isRecorded || this.#wants.facts;
  }

  push(bytes: Buffer): void {
    this.#size += bytes.length;
    this.#archive?.push(bytes);
    if (this.#head === undefined) {
      this.#hash?.update(bytes);
      return;
    }
    this.#head = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes]);
    if (this.#head.length >= fileHeadBytes) this.#decide(this.#head);
    else if (this.#head === bytes) this.#head = Buffer.from(bytes);
  }

  /** Ends the file; returns what is to be recorded of it. `isWhole` is false when it was cut. */
  end(isWhole: boolean): FileFacts | undefined {
    if (this.#head !== undefined) this.#decide(this.#head);
    const archive = this.#archive?.end(isWhole);
    const sha256 = isWhole ? this.#hash?.digest('hex') : undefined;
    if (this.#wants.facts && isWhole) {
      this.#tell('size', [String(this.#size)]);
      if (sha256 !== undefined) this.#tell('sha256', [sha256]);
    }
    if (!this.#isRecorded) return undefined;
    const { names, declared } = this.#claims;
    return { name: names[0], type: this.#type, declared, size: this.#size, sha256, isWhole, archive };
  }

  #decide(head: Buffer): void {
    this.#head = undefined;
    this.#type = fileTypeOf(head);
    if (this.#wants.facts && this.#type !== undefined) this.#tell('type', [this.#type]);
    const isFile = this.#claims.isNamed || (this.#type !== undefined && isFileOfItsOwn(this.#type));
    this.#isRecorded = this.#wants.records && isFile;
    if (!this.#isRecorded && !this.#wants.hashes) return;
    this.#hash = createHash('sha256');
    this.#hash.update(head);
  }
}

/** The type without its parameters, in lower case. */
function mediaType(value: string): string {
  return (value.split(';')[0] ?? '').trim().toLowerCase();
}
