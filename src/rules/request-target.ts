/**
 * Path of a request target as origins understand it: percent escapes decoded once, dot segments and repeated slashes
 * removed (RFC 3986 sections 2.1 and 5.2.4), so that `/a/../%61dmin` is `/admin` to a rule as well. Undefined in targets
 * that have none (CONNECT, `*`).
 */
export function pathOf(target: string): string | undefined {
  const whole = pathAndQuery(target);
  if (whole === undefined) return undefined;
  const path = decodeEscapes(whole.slice(0, queryStart(whole)));
  return path.includes('/.') || path.includes('//') ? withoutDotSegments(path) : path;
}

/** Query of a request target without the question mark, percent escapes decoded once; undefined when there is none. */
export function queryOf(target: string): string | undefined {
  const whole = pathAndQuery(target);
  if (whole === undefined) return undefined;
  const start = queryStart(whole);
  return start === whole.length ? undefined : decodeEscapes(whole.slice(start + 1));
}

function pathAndQuery(target: string): string | undefined {
  if (target.startsWith('/')) return target;
  const authority = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*/.exec(target)?.[0];
  if (authority === undefined) return undefined;
  const rest = target.slice(authority.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function queryStart(whole: string): number {
  const start = whole.indexOf('?');
  return start < 0 ? whole.length : start;
}

function decodeEscapes(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function withoutDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/').slice(1);
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    if (segment === '..') kept.pop();
    else if (segment !== '.' && (segment !== '' || last)) kept.push(segment);
    if (last && (segment === '.' || segment === '..')) kept.push('');
  }
  return `/${kept.join('/')}`;
}
