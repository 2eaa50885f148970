import { headerChangeProblem, mailHeaderProblem } from '../codec/header-change.ts';
import { type Format, type Parsed, value, wrong } from './format.ts';
import { cidr, endpoint, hostName, hostPattern, icapUrl, listenAddress } from './network-format.ts';
import { duration, size } from './quantity-format.ts';

/** An HTTP proxy and the credentials in its URL. */
export interface ProxyUrl {
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** Every kind of scalar that the configuration knows beyond plain text, by the name that the schema uses. */
export const formats: Formats = {
  'listen-address': listenAddress,
  endpoint,
  'host-name': hostName,
  'host-pattern': hostPattern,
  cidr,
  duration,
  size,
  'proxy-url': {
    expected: 'a URL such as "http://proxy.example:3128" or "http://user:password@proxy.example:3128"',
    pattern: '^http://[^\\s/]+/?$',
    secret: true,
    parse: parseProxyUrl,
  },
  'icap-url': icapUrl,
  'relay-count': {
    expected: '"auto" or a number between 1 and 64',
    pattern: '^(auto|[1-9][0-9]?)$',
    parse(text) {
      if (text === 'auto') return value(text);
      const count = /^\d{1,3}$/.test(text) ? Number(text) : 0;
      return count >= 1 && count <= 64 ? value(count) : wrong(`must be ${this.expected}`);
    },
  },
  'header-name': headerName('the name of a header that does not say how a message is read', headerChangeProblem),
  'header-field': headerField('a header such as "X-Environment: production"', headerChangeProblem),
  'mail-header-name': headerName('the name of a field that does not say how a mail is read', mailHeaderProblem),
  'mail-header-field': headerField('a field such as "X-Gateway: mail.example"', mailHeaderProblem),
  path: text('a path', '^[^\\u0000-\\u001f]+$'),
  glob: text('a path or a pattern such as "config/rules/*.yaml"', '^[^\\u0000-\\u001f]+$'),
  reason: text('a short reason', '^[^\\u0000-\\u001f]{1,200}$'),
  identifier: text('a name of letters, digits, ".", "_" and "-", at most 64', '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  // A colon ends the user name in Basic credentials (RFC 7617 section 2); SOCKS5 ends both at 255 bytes (RFC 1929).
  user: text('a user name without ":", at most 255 bytes', '^[^:\\u0000-\\u001f]{1,255}$', 255),
  password: { ...text('a password of at most 255 bytes', '^[^\\u0000-\\u001f]{1,255}$', 255), secret: true },
};

interface Formats {
  readonly 'listen-address': typeof listenAddress;
  readonly endpoint: typeof endpoint;
  readonly 'host-name': Format<string>;
  readonly 'host-pattern': Format<string>;
  readonly cidr: Format<string>;
  readonly duration: Format<number>;
  readonly size: Format<number>;
  readonly 'proxy-url': Format<ProxyUrl>;
  readonly 'icap-url': typeof icapUrl;
  readonly 'relay-count': Format<'auto' | number>;
  readonly 'header-name': Format<string>;
  readonly 'header-field': Format<readonly [name: string, value: string]>;
  readonly 'mail-header-name': Format<string>;
  readonly 'mail-header-field': Format<readonly [name: string, value: string]>;
  readonly path: Format<string>;
  readonly glob: Format<string>;
  readonly reason: Format<string>;
  readonly identifier: Format<string>;
  readonly user: Format<string>;
  readonly password: Format<string>;
}

export type FormatName = keyof Formats;
/** The value that a format parses to. */
export type FormatValue<Name extends FormatName> = Formats[Name] extends Format<infer Value> ? Value : never;

/** Text that fits a pattern, taken as it is. */
function text(expected: string, pattern: string, mostBytes = 4096): Format<string> {
  const allowed = new RegExp(pattern, 'u');
  return {
    expected,
    pattern,
    parse: (written) =>
      allowed.test(written) && Buffer.byteLength(written) <= mostBytes ? value(written) : wrong(`must be ${expected}`),
  };
}

type HeaderProblem = (name: string, content?: string) => string | undefined;

function headerName(expected: string, problemOf: HeaderProblem): Format<string> {
  return {
    expected,
    pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
    parse(written) {
      const problem = problemOf(written);
      return problem === undefined ? value(written.toLowerCase()) : wrong(problem);
    },
  };
}

function headerField(expected: string, problemOf: HeaderProblem): Format<readonly [name: string, value: string]> {
  return {
    expected,
    pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?.+$",
    parse(written) {
      const [, name, content] = /^([^:\s]+):[ \t]*(.*?)[ \t]*$/.exec(written) ?? [];
      if (name === undefined || content === undefined) return wrong(`must be ${expected}`);
      const problem = problemOf(name, content);
      return problem === undefined ? value([name, content]) : wrong(problem);
    },
  };
}

function parseProxyUrl(written: string): Parsed<ProxyUrl> {
  const url = URL.parse(written);
  if (url === null) return wrong(`must be ${formats['proxy-url'].expected}`);
  if (url.protocol !== 'http:') return wrong(`must start with http://: the gateway speaks plain HTTP to its proxy`);
  if ((url.pathname !== '/' && url.pathname !== '') || url.search !== '' || url.hash !== '') {
    return wrong('must be a host and a port alone, without path, query and fragment');
  }
  const authority = endpoint.parse(`${url.hostname}:${url.port === '' ? 80 : url.port}`);
  if (authority.kind === 'wrong') return authority;
  const { username, password } = url;
  return value({
    ...authority.value,
    user: username === '' ? undefined : percentDecoded(username),
    password: password === '' ? undefined : percentDecoded(password),
  });
}

/** A "%" that escapes nothing stands for itself. */
function percentDecoded(written: string): string {
  try {
    return decodeURIComponent(written);
  } catch {
    return written;
  }
}
