import type { Header } from '../core/http.ts';
import { limits } from '../core/limits.ts';

/** Codings that can be undone (RFC 9110 section 8.4.1, RFC 7932, RFC 8878). */
export type ContentCoding = 'gzip' | 'deflate' | 'br' | 'zstd';

export type ContentCodings =
  | { readonly kind: 'none' }
  /** In the order in which they were applied: the last one is undone first. */
  | { readonly kind: 'coded'; readonly codings: readonly ContentCoding[]; readonly label: string }
  /** At least one is not known to us, or there are more than anybody needs. */
  | { readonly kind: 'unknown'; readonly label: string };

const none: ContentCodings = { kind: 'none' };

const known: Readonly<Record<string, ContentCoding>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
  zstd: 'zstd',
};

/** The content codings of a message, over all lines of its Content-Encoding. */
export function contentCodings(headers: readonly Header[]): ContentCodings {
  let label: string | undefined;
  let perMessage: string | undefined;
  for (const [name, value] of headers) {
    const { length } = name;
    if (length === 16 && name.toLowerCase() === 'content-encoding') {
      label = label === undefined ? value : `${label},${value}`;
    } else if (length === 13 && name.toLowerCase() === 'grpc-encoding') perMessage = value.trim().toLowerCase();
  }
  if (label !== undefined) return parseCodings(label);
  // Messages of gRPC are coded one by one, which is not undone.
  return perMessage === undefined || perMessage === 'identity' || perMessage === ''
    ? none
    : { kind: 'unknown', label: `grpc-encoding ${perMessage}` };
}

function parseCodings(value: string): ContentCodings {
  const label = `content-encoding ${value}`;
  const codings: ContentCoding[] = [];
  for (const item of value.split(',')) {
    const name = item.trim().toLowerCase();
    // Empty list elements mean nothing (RFC 9110 section 5.6.1.2), and identity is no coding.
    if (name === '' || name === 'identity') continue;
    const coding = Object.hasOwn(known, name) ? known[name] : undefined;
    if (coding === undefined || codings.length === limits.contentCodings) return { kind: 'unknown', label };
    codings.push(coding);
  }
  return codings.length === 0 ? none : { kind: 'coded', codings, label };
}
