import { limits } from '../core/limits.ts';
import type { FileFacts, HttpTransactionFacts } from '../core/record.ts';
import { cut } from './header-text.ts';
import type { JsonObject } from './json.ts';
import { maskText } from './redact.ts';

/** OCSF file type: a regular file. */
const regularFile = 1;
/** OCSF hash algorithm: SHA-256. */
const sha256 = 3;

/** The first file of a transaction as an OCSF file, with the comma before it; empty when there is none. */
export function fileText({ requestFiles, responseFiles }: HttpTransactionFacts): string {
  const file = requestFiles?.[0] ?? responseFiles?.[0];
  if (file === undefined) return '';
  return `,"file":${JSON.stringify(fileParts(file))}`;
}

/** A file as an OCSF file. */
export function fileParts(file: FileFacts): JsonObject {
  return {
    name: shown(file.name ?? 'unnamed'),
    type_id: regularFile,
    size: file.size,
    mime_type: file.type ?? shownType(file.declared),
    hashes: file.sha256 === undefined ? undefined : [{ algorithm_id: sha256, value: file.sha256 }],
  };
}

/** All files of a transaction, with what OCSF has no place for; undefined when there are none. */
export function filesOf({ requestFiles, responseFiles }: HttpTransactionFacts): readonly JsonObject[] | undefined {
  const sent = requestFiles ?? [];
  const received = responseFiles ?? [];
  if (sent.length + received.length === 0) return undefined;
  return [...sent.map((file) => described('request', file)), ...received.map((file) => described('response', file))];
}

function described(message: 'request' | 'response', file: FileFacts): JsonObject {
  return {
    in: message,
    name: file.name === undefined ? undefined : shown(file.name),
    type: file.type,
    declared_type: shownType(file.declared),
    size: file.size,
    sha256: file.sha256,
    is_whole: file.isWhole,
    ...archiveParts(file),
  };
}

/** What an archive holds, which OCSF has no place for. */
export function archiveParts({ archive }: FileFacts): JsonObject {
  if (archive === undefined) return {};
  const { members, count, troubles } = archive;
  return {
    members: members.map(shown),
    member_count: count,
    archive: troubles.length === 0 ? undefined : troubles,
  };
}

function shownType(declared: string | undefined): string | undefined {
  return declared === undefined ? undefined : shown(declared);
}

/** Names come as bytes, one character each; most are UTF-8. */
function shown(text: string): string {
  return cut(maskText(Buffer.from(text, 'latin1').toString('utf8')), limits.recordDetailBytes);
}
