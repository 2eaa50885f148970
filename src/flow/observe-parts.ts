import { parseDisposition, percentDecoded } from '../codec/disposition.ts';
import { multipartType } from '../codec/multipart-type.ts';
import type { Header } from '../core/http.ts';
import type { FileFacts } from '../core/record.ts';
import type { WantedFacts } from '../rules/found-fields.ts';
import { FieldsObserver } from './observe-fields.ts';
import { type FactSink, FileObserver, type FileWants } from './observe-file.ts';
import { FormObserver } from './observe-form.ts';

/** Told of what is found: the rule field, and values of it. */
export type FoundSink = (field: string, values: readonly string[]) => void;

/** A message as far as it says what its body is. */
export interface Described {
  readonly headers: readonly Header[];
  /** Target of the request, by which browsers name a file that has no name of its own. */
  readonly target: string | undefined;
  /** Only a range of the whole is sent. */
  readonly isPartial: boolean;
}

/** Looks for parts and files in one body while its bytes pass. */
export interface PartsObserver {
  readonly isWanted: boolean;
  /** Why parts may have been missed. */
  readonly problem: string | undefined;
  push(bytes: Buffer): void;
  /** Ends the body; returns its files. */
  end(isWhole: boolean): readonly FileFacts[];
}

const none: readonly FileFacts[] = [];

/** Makes what a body needs by its type; undefined when nothing is to be found in it. */
export function observeParts(
  message: 'request' | 'response',
  described: Described,
  wanted: WantedFacts,
  recordsFiles: boolean,
  tell: FoundSink,
): PartsObserver | undefined {
  const wants: FileWants = {
    facts: wanted.files,
    hashes: wanted.hashes,
    records: recordsFiles,
    members: wanted.members ? 'all' : 'none',
  };
  const type = fieldOf(described.headers, 'content-type') ?? '';
  const multipart = message === 'request' ? multipartType(type) : undefined;
  const wantsFiles = wants.facts || wants.records;
  if (multipart !== undefined && (wantsFiles || wanted.forms)) {
    const { boundary, doubt } = multipart;
    if (boundary !== undefined) return new FormObserver(boundary, doubt, wants, tell);
    return new BodyFileObserver(message, described, wants, tell, doubt);
  }
  if (message === 'request' && /^\s*application\/x-www-form-urlencoded/i.test(type)) {
    return wanted.forms ? new FieldsObserver(described.headers, tell) : undefined;
  }
  return wantsFiles ? new BodyFileObserver(message, described, wants, tell) : undefined;
}

/** Whether a head says of its body that it is a file or holds some. */
export function mayNameFiles(headers: readonly Header[]): boolean {
  for (const [name, value] of headers) {
    const { length } = name;
    if (length === 19 && name.toLowerCase() === 'content-disposition') return true;
    if (length === 12 && /^\s*multipart\//i.test(value) && name.toLowerCase() === 'content-type') return true;
  }
  return false;
}

/** A body that may be a file as a whole. */
class BodyFileObserver implements PartsObserver {
  readonly problem: string | undefined;
  readonly #file: FileObserver;
  readonly #isPartial: boolean;

  constructor(
    message: 'request' | 'response',
    described: Described,
    wants: FileWants,
    tell: FoundSink,
    problem?: string,
  ) {
    const { headers, target, isPartial } = described;
    this.problem = problem;
    this.#isPartial = isPartial;
    const fileNames = fieldsOf(headers, 'content-disposition').flatMap((value) => parseDisposition(value).fileNames);
    const names = fileNames.length > 0 ? fileNames : nameInTarget(target);
    const claims = { names, declared: fieldOf(headers, 'content-type'), isNamed: fileNames.length > 0 };
    this.#file = new FileObserver(claims, wants, factsOf(message, tell));
  }

  get isWanted(): boolean {
    // Who is let go has its problem forgotten.
    return this.problem !== undefined || this.#file.isWanted;
  }

  push(bytes: Buffer): void {
    this.#file.push(bytes);
  }

  end(isWhole: boolean): readonly FileFacts[] {
    const facts = this.#file.end(isWhole && !this.#isPartial);
    return facts === undefined ? none : [facts];
  }
}

function factsOf(message: 'request' | 'response', tell: FoundSink): FactSink {
  return (fact, values) => tell(`http.${message}.file.${fact}`, values);
}

/** The last segment of the path. */
function nameInTarget(target: string | undefined): readonly string[] {
  const segment = /([^/?#]*)(?:[?#]|$)/.exec(target ?? '')?.[1] ?? '';
  return segment === '' ? [] : [percentDecoded(segment)];
}

function fieldOf(headers: readonly Header[], name: string): string | undefined {
  return fieldsOf(headers, name)[0];
}

function fieldsOf(headers: readonly Header[], name: string): readonly string[] {
  return headers.flatMap(([present, value]) =>
    present.length === name.length && present.toLowerCase() === name ? [value] : [],
  );
}
