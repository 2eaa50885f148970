/** One way to make two recipients read a request differently, and what the relay makes of it. */
export interface SmugglingVector {
  readonly name: string;
  readonly bytes: string;
  /** Failure code and status of the refusal, or `verbatim`: forwarded byte for byte as one request with this body. */
  readonly expected: 'malformed' | 'ambiguous' | 'too-large' | 'version' | 'unsupported' | 'connect' | 'verbatim';
  readonly body?: string;
}

const post = 'POST / HTTP/1.1\r\nHost: a.example\r\n';
const get = 'GET / HTTP/1.1\r\nHost: a.example\r\n';
const chunks = '5\r\nhello\r\n0\r\n\r\n';
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n';

function vector(name: string, bytes: string, expected: SmugglingVector['expected'], body = ''): SmugglingVector {
  return { name, bytes, expected, body };
}

const lengths: readonly SmugglingVector[] = [
  vector('CL and TE', `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`, 'ambiguous'),
  vector('TE and CL', `${post}Transfer-Encoding: chunked\r\nContent-Length: 44\r\n\r\n${chunks}`, 'ambiguous'),
  vector('two CLs', `${post}Content-Length: 0\r\nContent-Length: 44\r\n\r\n${smuggled}`, 'ambiguous'),
  vector('two equal CLs', `${post}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`, 'ambiguous'),
  vector('CL list', `${post}Content-Length: 5, 5\r\n\r\nhello`, 'ambiguous'),
  vector('CL with plus', `${post}Content-Length: +5\r\n\r\nhello`, 'ambiguous'),
  vector('CL negative', `${post}Content-Length: -1\r\n\r\nhello`, 'ambiguous'),
  vector('CL hex', `${post}Content-Length: 0x5\r\n\r\nhello`, 'ambiguous'),
  vector('CL with inner blank', `${post}Content-Length: 1 1\r\n\r\nhello world`, 'ambiguous'),
  vector('CL empty', `${post}Content-Length:\r\n\r\n`, 'ambiguous'),
  vector('CL with fraction', `${post}Content-Length: 5.0\r\n\r\nhello`, 'ambiguous'),
  vector('CL with exponent', `${post}Content-Length: 5e0\r\n\r\nhello`, 'ambiguous'),
  vector('CL with leading zero', `${post}Content-Length: 010\r\n\r\nhello123`, 'ambiguous'),
  vector('CL beyond 2^53', `${post}Content-Length: 9007199254740993\r\n\r\n`, 'ambiguous'),
  vector('CL wrapping around 64 bits', `${post}Content-Length: 18446744073709551621\r\n\r\nhello`, 'ambiguous'),
  vector('CL with letters behind', `${post}Content-Length: 5abc\r\n\r\nhello`, 'ambiguous'),
  vector('CL quoted', `${post}Content-Length: "5"\r\n\r\nhello`, 'ambiguous'),
  vector('CL with vertical tab', `${post}Content-Length: 5\x0b\r\n\r\nhello`, 'ambiguous'),
  vector('CL with NUL', `${post}Content-Length: 5\0\r\n\r\nhello`, 'ambiguous'),
  vector('CL with non-breaking space', `${post}Content-Length: \xa05\r\n\r\nhello`, 'ambiguous'),
  vector('CL surrounded by tabs', `${post}Content-Length:\t5\t\r\n\r\nhello`, 'verbatim', 'hello'),
  vector('CL with underscore', `${post}Content_Length: 5\r\n\r\nhello`, 'ambiguous'),
  vector('CL in odd case', `${post}cOnTeNt-LeNgTh: 5\r\n\r\nhello`, 'verbatim', 'hello'),
  vector('CL of zero', `${post}Content-Length: 0\r\n\r\n`, 'verbatim'),
  vector('GET with CL', `${get}Content-Length: 5\r\n\r\nhello`, 'verbatim', 'hello'),
  vector('GET with chunks', `${get}Transfer-Encoding: chunked\r\n\r\n${chunks}`, 'verbatim', 'hello'),
];

const codings: readonly SmugglingVector[] = [
  vector('TE foo before chunked', `${post}Transfer-Encoding: foo, chunked\r\n\r\n${chunks}`, 'unsupported'),
  vector('TE chunked before foo', `${post}Transfer-Encoding: chunked, foo\r\n\r\n${chunks}`, 'unsupported'),
  vector('TE gzip before chunked', `${post}Transfer-Encoding: gzip, chunked\r\n\r\n${chunks}`, 'unsupported'),
  vector('TE identity', `${post}Transfer-Encoding: identity\r\n\r\n${chunks}`, 'unsupported'),
  vector('TE chunked twice in a list', `${post}Transfer-Encoding: chunked, chunked\r\n\r\n${chunks}`, 'unsupported'),
  vector('TE twice', `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`, 'ambiguous'),
  vector(
    'TE then identity',
    `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n${chunks}`,
    'ambiguous',
  ),
  vector('TE xchunked', `${post}Transfer-Encoding: xchunked\r\n\r\n${chunks}`, 'unsupported'),
  vector('TE quoted', `${post}Transfer-Encoding: "chunked"\r\n\r\n${chunks}`, 'unsupported'),
  vector('TE with parameter', `${post}Transfer-Encoding: chunked;q=1\r\n\r\n${chunks}`, 'unsupported'),
  vector('TE empty', `${post}Transfer-Encoding:\r\n\r\n${chunks}`, 'unsupported'),
  vector('TE with a comma behind', `${post}Transfer-Encoding: chunked,\r\n\r\n${chunks}`, 'unsupported'),
  vector('TE with vertical tab', `${post}Transfer-Encoding: \x0bchunked\r\n\r\n${chunks}`, 'ambiguous'),
  vector('TE with non-breaking space', `${post}Transfer-Encoding: \xa0chunked\r\n\r\n${chunks}`, 'unsupported'),
  vector('TE folded', `${post}Transfer-Encoding:\r\n chunked\r\n\r\n${chunks}`, 'ambiguous'),
  vector('TE with blank before the colon', `${post}Transfer-Encoding : chunked\r\n\r\n${chunks}`, 'ambiguous'),
  vector('TE with tab before the colon', `${post}Transfer-Encoding\t: chunked\r\n\r\n${chunks}`, 'ambiguous'),
  vector('TE with underscore', `${post}Transfer_Encoding: chunked\r\n\r\n${chunks}`, 'ambiguous'),
  vector('TE hidden behind a bare LF', `${post}X: y\nTransfer-Encoding: chunked\r\n\r\n${chunks}`, 'ambiguous'),
  vector('TE hidden behind a bare CR', `${post}X: y\rTransfer-Encoding: chunked\r\n\r\n${chunks}`, 'ambiguous'),
  vector(
    'TE in HTTP/1.0',
    `POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
    'ambiguous',
  ),
  vector('TE in upper case', `${post}Transfer-Encoding: CHUNKED\r\n\r\n${chunks}`, 'verbatim', 'hello'),
];

const chunkSyntax: readonly SmugglingVector[] = (
  [
    ['chunk size with blank behind', '5 \r\nhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk size with 0x', '0x5\r\nhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk size with plus', '+5\r\nhello\r\n0\r\n\r\n', 'malformed'],
    ['chunk size negative', '-5\r\nhello\r\n0\r\n\r\n', 'malformed'],
    ['chunk size empty', '\r\nhello\r\n0\r\n\r\n', 'malformed'],
    ['chunk size with blank before', ' 5\r\nhello\r\n0\r\n\r\n', 'malformed'],
    ['chunk size wrapping around 64 bits', '10000000000000005\r\nhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk size with many zeros', '00000000000000005\r\nhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk size line with bare LF', '5\nhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk size line with bare CR', '5\rhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk ended by bare LF', '5\r\nhello\n0\r\n\r\n', 'ambiguous'],
    ['chunk longer than its size', '5\r\nhello!\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk without end', '5\r\nhello0\r\n\r\n', 'ambiguous'],
    ['chunk extension with bare LF', '5;a\nb\r\nhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk extension with bare CR', '5;a\rb\r\nhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk extension without name', '5;\r\nhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk extension with blank', '5; a=b\r\nhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk extension with open quotes', '5;a="b\r\nhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk extension with NUL', '5;a\0\r\nhello\r\n0\r\n\r\n', 'ambiguous'],
    ['chunk extension beyond the limit', `5;${'a'.repeat(400)}\r\nhello\r\n0\r\n\r\n`, 'too-large'],
    ['trailer Content-Length', '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n', 'ambiguous'],
    ['trailer Transfer-Encoding', '5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n', 'ambiguous'],
    ['trailer Host', '5\r\nhello\r\n0\r\nHost: b.example\r\n\r\n', 'ambiguous'],
    ['trailer with bare LF', '5\r\nhello\r\n0\r\nX: y\n\r\n', 'ambiguous'],
    ['trailer folded', '5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n', 'ambiguous'],
    ['trailer ended by bare LF', '5\r\nhello\r\n0\r\n\n', 'ambiguous'],
    ['trailers beyond the limit', `5\r\nhello\r\n0\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, 'too-large'],
  ] as const
).map(([name, body, expected]) => vector(name, `${post}Transfer-Encoding: chunked\r\n\r\n${body}`, expected));

const goodChunks: readonly SmugglingVector[] = [
  vector(
    'chunk extension',
    `${post}Transfer-Encoding: chunked\r\n\r\n5;a=b;c="d \\" e";f\r\nhello\r\n0\r\n\r\n`,
    'verbatim',
    'hello',
  ),
  vector(
    'chunk size in upper case with zero',
    `${post}Transfer-Encoding: chunked\r\n\r\n0A\r\nhellohello\r\n0\r\n\r\n`,
    'verbatim',
    'hellohello',
  ),
  vector(
    'trailers',
    `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n`,
    'verbatim',
    'hello',
  ),
];

const hosts: readonly SmugglingVector[] = [
  vector('two Hosts', `${get}Host: b.example\r\n\r\n`, 'ambiguous'),
  vector('two equal Hosts', `${get}Host: a.example\r\n\r\n`, 'ambiguous'),
  vector('no Host', 'GET / HTTP/1.1\r\n\r\n', 'malformed'),
  ...[
    ['Host list', 'a.example, b.example'],
    ['Host with blank', 'a.example b.example'],
    ['Host with userinfo', 'user@a.example'],
    ['Host with path', 'a.example/path'],
    ['Host with query', 'a.example?x'],
    ['Host with a port that is none', 'a.example:http'],
    ['Host with port 0', 'a.example:0'],
    ['Host with port 65536', 'a.example:65536'],
    ['Host with negative port', 'a.example:-1'],
    ['Host with two ports', 'a.example:80:443'],
    ['Host with empty port', 'a.example:'],
    ['Host empty', ''],
    ['Host with an escape', 'a%2eexample'],
    ['Host with backslash', 'a.example\\b'],
    ['Host as inet_aton reads it', '127.1'],
    ['Host as a number', '2130706433'],
    ['Host with open bracket', '[::1'],
    ['Host with zone', '[fe80::1%25eth0]'],
    ['Host with empty label', 'a..example'],
    ['Host in Unicode', 'b\xfccher.example'],
  ].map(([name = '', host = '']) => vector(name, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'ambiguous')),
  vector('Host of an IPv6 address', 'GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n', 'verbatim'),
  vector('absolute target of another host', 'GET https://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n', 'ambiguous'),
  vector(
    'absolute target of another port',
    'GET https://a.example:444/ HTTP/1.1\r\nHost: a.example\r\n\r\n',
    'ambiguous',
  ),
  vector(
    'absolute target of another scheme',
    'GET http://a.example/ HTTP/1.1\r\nHost: a.example:80\r\n\r\n',
    'ambiguous',
  ),
  vector('absolute target with userinfo', 'GET https://a@a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector(
    'absolute target of the same host',
    'GET https://A.example:443/x HTTP/1.1\r\nHost: a.example\r\n\r\n',
    'verbatim',
  ),
];

const lines: readonly SmugglingVector[] = [
  vector('bare LF throughout', 'GET / HTTP/1.1\nHost: a.example\n\n', 'ambiguous'),
  vector('bare LF at the end of the head', `${get}\n`, 'ambiguous'),
  vector('bare CR at the end of the head', `${get}\rX`, 'ambiguous'),
  vector('bare CR in a value', `${get}X: a\rb\r\n\r\n`, 'ambiguous'),
  vector('NUL in a value', `${get}X: a\0b\r\n\r\n`, 'ambiguous'),
  vector('control character in a value', `${get}X: a\x01b\r\n\r\n`, 'ambiguous'),
  vector('DEL in a value', `${get}X: a\x7fb\r\n\r\n`, 'ambiguous'),
  vector('folded line', `${get}X: a\r\n b\r\n\r\n`, 'ambiguous'),
  vector('folded first line', 'GET / HTTP/1.1\r\n Host: a.example\r\n\r\n', 'ambiguous'),
  vector('blank before the colon', `${get}X : a\r\n\r\n`, 'ambiguous'),
  vector('empty name', `${get}: a\r\n\r\n`, 'malformed'),
  vector('name that is no token', `${get}X(y): a\r\n\r\n`, 'malformed'),
  vector('name with NUL', `${get}X\0: a\r\n\r\n`, 'malformed'),
  vector('name beyond ASCII', `${get}\xfc: a\r\n\r\n`, 'malformed'),
  vector('line without colon', `${get}X\r\n\r\n`, 'ambiguous'),
  vector('two blanks before the target', 'GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('two blanks before the version', 'GET /  HTTP/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('tab in the request line', 'GET\t/ HTTP/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('blank behind the version', 'GET / HTTP/1.1 \r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('blank before the method', ' GET / HTTP/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('two empty lines before the request', `\r\n\r\n${get}\r\n`, 'malformed'),
  vector('HTTP/0.9', 'GET /\r\n', 'version'),
  vector('HTTP/2.0', 'GET / HTTP/2.0\r\nHost: a.example\r\n\r\n', 'version'),
  vector('HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a.example\r\n\r\n', 'version'),
  vector('HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'version'),
  vector('HTTP/1.10', 'GET / HTTP/1.10\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('HTTP/01.1', 'GET / HTTP/01.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('http/1.1', 'GET / http/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('HTTPS/1.1', 'GET / HTTPS/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('fragment', 'GET /#x HTTP/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('target without slash', 'GET x HTTP/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('asterisk for GET', 'GET * HTTP/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('authority for GET', 'GET a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('method that is no token', 'G(T / HTTP/1.1\r\nHost: a.example\r\n\r\n', 'malformed'),
  vector('head beyond the limit', `${get}X: ${'y'.repeat(70_000)}\r\n\r\n`, 'too-large'),
  vector('too many headers', `${get}${'X: y\r\n'.repeat(300)}\r\n`, 'too-large'),
  vector('asterisk for OPTIONS', 'OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n', 'verbatim'),
];

const hops: readonly SmugglingVector[] = [
  ...['Host', 'Content-Length', 'close, transfer-encoding', 'keep-alive, Cookie', 'authorization'].map((options) =>
    vector(`Connection: ${options}`, `${get}Connection: ${options}\r\n\r\n`, 'ambiguous'),
  ),
  vector('Connection that is no list', `${get}Connection: "close"\r\n\r\n`, 'ambiguous'),
  vector('CONNECT', 'CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n', 'connect'),
  vector(
    'CONNECT with a body',
    `CONNECT b.example:443 HTTP/1.1\r\nHost: b.example\r\nContent-Length: 5\r\n\r\nhello`,
    'ambiguous',
  ),
  vector('CONNECT without port', 'CONNECT b.example HTTP/1.1\r\nHost: b.example\r\n\r\n', 'malformed'),
];

/** Ways to smuggle a request past one of two recipients (after http-garden, smuggler, llhttp's advisories and RFC 9112). */
export const smugglingVectors: readonly SmugglingVector[] = [
  ...lengths,
  ...codings,
  ...chunkSyntax,
  ...goodChunks,
  ...hosts,
  ...lines,
  ...hops,
];
