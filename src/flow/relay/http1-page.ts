import { type FailureCode, failureOf } from '../../core/failures.ts';
import type { Header } from '../../core/http.ts';
import type { RuleRef } from '../../core/verdict.ts';

export interface FailurePage {
  readonly code: FailureCode;
  /** The rule that decided, when one did. */
  readonly rule?: RuleRef | undefined;
  /** Facts beyond the code; must hold no secret. */
  readonly detail?: string;
  /** Names and values that say what is wrong, such as since when a certificate has expired. */
  readonly facts?: readonly (readonly [name: string, value: string])[];
  readonly flowId: string;
  /** Accept field of the request: decides between HTML and JSON. */
  readonly accept?: string | undefined;
  /** A HEAD request is answered without body. */
  readonly method?: string | undefined;
  /** Set where HTTP asks for another status than the code's own. */
  readonly status?: number | undefined;
}

/** What a page says, whatever version of HTTP carries it. */
export interface PageParts {
  readonly status: number;
  readonly fields: readonly Header[];
  readonly body: Buffer;
}

/** A complete HTTP/1.1 response that tells a client what failed, what it means and what helps; the connection then closes. */
export function failurePage(page: FailurePage): Buffer {
  const { status, fields, body } = pageParts(page);
  const head = [
    `HTTP/1.1 ${status} ${reasons[status] ?? 'Error'}`,
    ...fields.map(([name, value]) => `${name}: ${value}`),
    'Connection: close',
  ];
  const headBytes = Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1');
  return page.method === 'HEAD' ? headBytes : Buffer.concat([headBytes, body]);
}

/** The status of the page about a failure, unless HTTP asks for another one. */
export function pageStatus(code: FailureCode, status?: number): number {
  return status ?? failureOf(code).status;
}

/** Status, fields and body of the page. */
export function pageParts(written: FailurePage): PageParts {
  // What went wrong inside the gateway is for its operator alone.
  const page = written.code === 'GATEWAY_INTERNAL' ? { ...written, detail: '' } : written;
  const status = pageStatus(page.code, page.status);
  const isJson = prefersJson(page.accept);
  const body = Buffer.from(isJson ? jsonBody(page) : htmlBody(page, status));
  const fields: readonly Header[] = [
    ['Content-Type', isJson ? 'application/json' : 'text/html; charset=utf-8'],
    ['Content-Length', String(body.length)],
    ['Cache-Control', 'no-store'],
    ['Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'"],
    ['X-Content-Type-Options', 'nosniff'],
    ['Daylight-Failure', page.code],
    ...(extraFields[status] ?? []),
  ];
  return { status, fields, body };
}

const reasons: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  508: 'Loop Detected',
};

/** Fields that a status demands (RFC 9110 sections 15.5.6 and 15.5.8). */
const extraFields: Readonly<Record<number, readonly Header[]>> = {
  405: [['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']],
  407: [['Proxy-Authenticate', 'Basic realm="daylight", charset="UTF-8"']],
};

/** A client that names JSON and does not put HTML first is a program; everybody else may be a person. */
function prefersJson(accept: string | undefined): boolean {
  const wanted = (accept ?? '').toLowerCase();
  const json = wanted.search(/[/+]json\b/);
  const html = wanted.search(/\btext\/html\b|\bapplication\/xhtml\+xml\b/);
  return json >= 0 && (html < 0 || json < html);
}

function jsonBody({ code, rule, detail, flowId, facts }: FailurePage): string {
  const { meaning, remedy } = failureOf(code);
  return `${JSON.stringify({
    code,
    meaning,
    remedy,
    detail,
    facts: facts && Object.fromEntries(facts),
    rule,
    flowId,
  })}\n`;
}

function htmlBody(page: FailurePage, status: number): string {
  const { meaning, remedy } = failureOf(page.code);
  const facts: (readonly [string, string])[] = [['Code', page.code]];
  if (page.rule !== undefined) facts.push(['Rule', `${page.rule.id} rev ${page.rule.rev}: ${page.rule.title}`]);
  if (page.detail !== undefined && page.detail !== '') facts.push(['Detail', page.detail]);
  facts.push(...(page.facts ?? []), ['Flow', page.flowId]);
  const rows = facts.map(([name, value]) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`).join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${status} ${reasons[status] ?? 'Error'}</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:12vh auto;padding:0 1.5rem;color:#1f2328;background:#fff}
h1{font-size:1.35rem;margin:0 0 .5rem}
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:1.5rem 0;font-size:.9rem}
dt{color:#59636e}dd{margin:0;font-family:ui-monospace,monospace;overflow-wrap:anywhere}
footer{color:#59636e;font-size:.85rem}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}dt,footer{color:#9198a1}}
</style>
</head>
<body>
<h1>${escapeHtml(meaning)}</h1>
<p>${escapeHtml(remedy)}</p>
<dl>
${rows}
</dl>
<footer>This answer comes from Daylight, the gateway that this connection passes through. Tell its operator the flow.</footer>
</body>
</html>
`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
