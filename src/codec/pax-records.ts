/** What an extended head of a tar archive says of members (POSIX pax). Text is one character per byte. */
export interface PaxRecords {
  readonly names: readonly string[];
  /** Size of the content, where it is told once more. */
  readonly size: string | undefined;
  /** Readers may make something else of the content or of the archive than what stands there. */
  readonly isDoubtful: boolean;
}

const nameKeys = new Set(['path', 'GNU.sparse.name', 'SCHILY.realname']);

/** Reads records by their lengths, as readers do; what does not keep to them is doubtful. */
export function readPaxRecords(text: string): PaxRecords {
  const names: string[] = [];
  let size: string | undefined;
  let isDoubtful = false;
  for (let at = 0; at < text.length; ) {
    const length = /^([1-9]\d{0,5}) /.exec(text.slice(at, at + 7))?.[1];
    const record = text.slice(at, at + Number(length ?? 0));
    const equals = record.indexOf('=');
    if (length === undefined || equals < 0 || !record.endsWith('\n')) return { names, size, isDoubtful: true };
    const key = record.slice(length.length + 1, equals);
    const value = record.slice(equals + 1, -1);
    if (nameKeys.has(key)) names.push(value, ...value.split('\0').slice(0, 1));
    if (key === 'size') size = value;
    // The content begins with a map, or has holes that are not told in it.
    if (key.startsWith('GNU.sparse.')) isDoubtful = true;
    at += record.length;
  }
  return { names, size, isDoubtful };
}
