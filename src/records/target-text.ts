import type { RequestHead } from '../core/http.ts';
import { limits } from '../core/limits.ts';
import type { FlowText } from './flow-text.ts';
import { cut } from './header-text.ts';
import { hostnamePattern } from './ocsf.ts';
import { maskText } from './redact.ts';

/** The URL object of a request as JSON, masked. Reads origin form, absolute form, authority form and `*` (RFC 9112 section 3.2). */
export function targetText(request: RequestHead, flow: Pick<FlowText, 'scheme' | 'port'>): string {
  const target = cut(maskText(request.target), limits.recordTargetBytes);
  const host = hostText(request.host);
  // An extended CONNECT (RFC 8441) has a path as every other request.
  if (request.method === 'CONNECT' && !target.startsWith('/')) return `{${host}"url_string":${JSON.stringify(target)}}`;
  const port = flow.port === undefined ? '' : `"port":${flow.port},`;
  return `{"scheme":"${flow.scheme}",${host}${port}${pathText(target)}}`;
}

/** Whether the URL of a record is not whole. */
export function isTargetCut(request: RequestHead): boolean {
  return request.target.length > limits.recordTargetBytes;
}

function pathText(target: string): string {
  const start = target.startsWith('/') || target === '*' ? 0 : pathStart(target);
  const query = target.indexOf('?', start);
  const path = query < 0 ? target.slice(start) : target.slice(start, query);
  const pathMember = `"path":${JSON.stringify(path === '' ? '/' : path)}`;
  return query < 0 ? pathMember : `${pathMember},"query_string":${JSON.stringify(target.slice(query + 1))}`;
}

/** Index behind scheme and authority of the absolute form. */
function pathStart(target: string): number {
  const authority = target.indexOf('://');
  if (authority < 0) return 0;
  const end = target.slice(authority + 3).search(/[/?]/);
  return end < 0 ? target.length : authority + 3 + end;
}

/** The last host and its JSON: requests of one connection name the same. */
let lastHost = '';
let lastHostText = '';

function hostText(host: string): string {
  if (host === '') return '';
  if (host !== lastHost) {
    const name = hostnamePattern.test(host) ? 'hostname' : 'domain';
    lastHostText = `"${name}":${JSON.stringify(cut(maskText(host), limits.recordDetailBytes))},`;
    lastHost = host;
  }
  return lastHostText;
}
