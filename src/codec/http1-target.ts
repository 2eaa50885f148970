import { type Authority, parseAuthority } from './http1-authority.ts';

/** Forms of a request target (RFC 9112 section 3.2). */
export type RequestTarget =
  | { readonly form: 'origin' }
  | AbsoluteTarget
  | { readonly form: 'authority'; readonly authority: Authority & { readonly port: number } }
  | { readonly form: 'asterisk' };

export interface AbsoluteTarget {
  readonly form: 'absolute';
  /** Lower case. */
  readonly scheme: string;
  readonly host: string;
  /** The scheme's own port when none is written; undefined for a scheme without one that is known. */
  readonly port: number | undefined;
  /** Offset in the target at which path or query begin; its length when there is neither. */
  readonly pathAt: number;
}

/** Classifies a target that consists of legal bytes. Undefined when it fits no form, or not the method. */
export function parseTarget(method: string, target: string): RequestTarget | undefined {
  if (method === 'CONNECT') return authorityForm(target);
  if (target.charCodeAt(0) === slash) return originForm;
  if (target === '*') return method === 'OPTIONS' ? asteriskForm : undefined;
  return absoluteForm(target);
}

/** The port that a scheme implies. */
export function defaultPort(scheme: string): number | undefined {
  if (scheme === 'http') return 80;
  return scheme === 'https' ? 443 : undefined;
}

const slash = 0x2f;
const originForm = { form: 'origin' } as const;
const asteriskForm = { form: 'asterisk' } as const;
const absolutePattern = /^([a-z][a-z0-9+.-]*):\/\/([^/?]*)/i;

function authorityForm(target: string): RequestTarget | undefined {
  const authority = parseAuthority(target);
  if (authority?.port === undefined) return undefined;
  return { form: 'authority', authority: { host: authority.host, port: authority.port } };
}

function absoluteForm(target: string): AbsoluteTarget | undefined {
  const found = absolutePattern.exec(target);
  const authority = parseAuthority(found?.[2] ?? '');
  if (found === null || authority === undefined) return undefined;
  const scheme = (found[1] ?? '').toLowerCase();
  const port = authority.port ?? defaultPort(scheme);
  return { form: 'absolute', scheme, host: authority.host, port, pathAt: found[0].length };
}
