import { cr, lf, space } from './http1-bytes.ts';
import type { ParsedRequest } from './http1-request.ts';

/** What a request head loses on its way; everything else stays byte for byte. */
export interface HeadRewrite {
  /** An explicit proxy was addressed: absolute form becomes origin form, fields meant for the proxy go. */
  readonly asProxy: boolean;
  /** An offer of HTTP/2 in the clear goes: the answer then stays HTTP/1.1, which is inspected. */
  readonly withoutHttp2Offer: boolean;
}

/** Makes the head that is forwarded instead of `head`, which `parseRequestHead` accepted and which ends with its empty line. */
export function rewriteHead(head: Buffer, request: ParsedRequest, rewrite: HeadRewrite): Buffer {
  const lineEnd = head.indexOf(lf) + 1;
  const parts: Buffer[] = [];
  if (rewrite.asProxy) parts.push(...originFormLine(head, request, lineEnd));
  else parts.push(head.subarray(0, lineEnd));
  if (rewrite.asProxy) parts.push(...missingHost(request));
  const dropped = rewrite.withoutHttp2Offer ? [...proxyFields(rewrite), ...http2Fields] : proxyFields(rewrite);
  pushFields(parts, head, lineEnd, dropped, rewrite.withoutHttp2Offer);
  return Buffer.concat(parts);
}

/** Names lower case. */
const http2Fields: readonly string[] = ['upgrade', 'http2-settings'];
const proxyOnly: readonly string[] = ['proxy-connection', 'proxy-authorization'];
const methodSeparator = Buffer.from(' ');
const rootPath = Buffer.from('/');
const asterisk = Buffer.from('*');

function proxyFields({ asProxy }: HeadRewrite): readonly string[] {
  return asProxy ? proxyOnly : [];
}

/** RFC 9112 section 3.2.1, and 3.2.4 for OPTIONS of the whole server. */
function originFormLine(head: Buffer, request: ParsedRequest, lineEnd: number): Buffer[] {
  const { target } = request;
  if (target.form !== 'absolute') return [head.subarray(0, lineEnd)];
  const methodEnd = head.indexOf(space);
  const pathStart = methodEnd + 1 + target.pathAt;
  const method = [head.subarray(0, methodEnd), methodSeparator];
  const rest = head.subarray(pathStart, lineEnd);
  if (rest[0] === rootPath[0]) return [...method, rest];
  const isWholeServer = request.head.method === 'OPTIONS' && rest[0] === space;
  return [...method, isWholeServer ? asterisk : rootPath, rest];
}

/** An HTTP/1.0 request in absolute form may come without Host; in origin form nothing else would say where it belongs. */
function missingHost({ head, target }: ParsedRequest): Buffer[] {
  if (target.form !== 'absolute' || head.headers.some(([name]) => name.toLowerCase() === 'host')) return [];
  const written = /^[^:]+:\/\/([^/?]*)/.exec(head.target)?.[1] ?? target.host;
  return [Buffer.from(`Host: ${written}\r\n`, 'latin1')];
}

function pushFields(parts: Buffer[], head: Buffer, start: number, dropped: readonly string[], trims: boolean): void {
  let keptFrom = start;
  for (let at = start; head[at] !== cr; ) {
    const next = head.indexOf(lf, at) + 1;
    const name = head.toString('latin1', at, head.indexOf(':', at)).toLowerCase();
    const isConnection = trims && name === 'connection';
    if (isConnection || dropped.includes(name)) {
      parts.push(head.subarray(keptFrom, at));
      if (isConnection) parts.push(connectionWithoutUpgrade(head.toString('latin1', at, next)));
      keptFrom = next;
    }
    at = next;
  }
  parts.push(head.subarray(keptFrom));
}

/** Connection options that name a dropped field would be lies; the others stay. */
function connectionWithoutUpgrade(line: string): Buffer {
  const value = line.slice(line.indexOf(':') + 1).trim();
  const options = value.split(',').map((option) => option.trim());
  const kept = options.filter((option) => option !== '' && !http2Fields.includes(option.toLowerCase()));
  return Buffer.from(kept.length === 0 ? '' : `Connection: ${kept.join(', ')}\r\n`, 'latin1');
}
