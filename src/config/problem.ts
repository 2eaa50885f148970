/** Something wrong with a file, where it stands. Lines and columns count from 1. `message` holds no secret. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Key that it is about, e.g. `listeners[0].listen`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

/** A problem as one line that editors and terminals can follow: `file:line:column: key: message`. */
export function problemText({ file, line, column, path, message }: Problem): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
}
