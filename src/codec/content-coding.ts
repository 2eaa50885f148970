import type { Header } from '../core/http.ts';
import { limits } from '../core/limits.ts';

/** Codings that can be undone (RFC 9110 section 8.4.1, RFC 7932, RFC 8878). */
export type ContentCoding = 'gzip' | 'deflate' | 'br' | 'zstd';

export type ContentCodings =
  | { readonly kind: 'none' }
  /** In the order in which they were applied: the last one is undone first. */
  | { readonly kind: 'coded'; readonly codings: readonly ContentCoding[]; readonly label: string }
  /** Every message of gRPC by itself, where its prefix says so. */
  | { readonly kind: 'messages'; readonly coding: ContentCoding; readonly label: string }
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
    } else if (length === 13 && name.toLowerCase() === 'grpc-encoding') {
      const coding = value.trim().toLowerCase();
      // Recipients differ in which of several they go by: together they name nothing that is known.
      perMessage = perMessage === undefined || perMessage === coding ? coding : `${perMessage},${coding}`;
    }
  }
  const whole = label === undefined ? none : parseCodings(label);
  if (perMessage === undefined || perMessage === 'identity' || perMessage === '') return whole;
  if (whole.kind === 'none') return messageCoding(perMessage, headers);
  // One inside the other is not undone. A field alone makes no gRPC of what is none.
  return isGrpc(headers)
    ? { kind: 'unknown', label: `${whole.label}, grpc-encoding ${perMessage}`.slice(0, 100) }
    : whole;
}

/** Messages of gRPC are coded one by one; what is no gRPC by its type is no row of messages for its recipient. */
function messageCoding(name: string, headers: readonly Header[]): ContentCodings {
  const label = `grpc-encoding ${name}`;
  const coding = Object.hasOwn(known, name) ? known[name] : undefined;
  return coding === undefined || !isGrpc(headers) ? { kind: 'unknown', label } : { kind: 'messages', coding, label };
}

function isGrpc(headers: readonly Header[]): boolean {
  return headers.some(
    ([field, value]) =>
      field.length === 12 && /^\s*application\/grpc/i.test(value) && field.toLowerCase() === 'content-type',
  );
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

/** Whether there is something that can be undone. */
export function isCoded(codings: ContentCodings): codings is Extract<ContentCodings, { kind: 'coded' | 'messages' }> {
  return codings.kind === 'coded' || codings.kind === 'messages';
}
