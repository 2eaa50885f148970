/** A record as the `logs` command shows and filters it, whatever its class. */
export interface RecordView {
  readonly kind: 'transaction' | 'mail' | 'transfer' | 'messages' | 'flow' | 'alarm' | 'loss';
  readonly timeMs: number;
  readonly assetId: string;
  readonly clientIp: string;
  /** Names and addresses that the record is about: request, destination, SNI. */
  readonly hosts: readonly string[];
  readonly flowId: string;
  readonly label: string;
  readonly ruleIds: readonly string[];
  readonly failure: string;
  readonly detail: string;
  readonly method: string;
  readonly target: string;
  /** Status of HTTP, reply of the origin to a mail or a transfer, or what happened to a connection. */
  readonly status: string;
  readonly bytes: number | undefined;
  readonly durationMs: number | undefined;
  /** Verdict of a transaction, decision of a flow, action of an alarm. */
  readonly verdict: string;
  readonly severity: string;
  /** Where and what an alarm found. */
  readonly evidence: string;
}

const severities = ['unknown', 'info', 'low', 'medium', 'high', 'critical'];
const connectionEnds: Readonly<Record<string, string>> = { 2: 'closed', 3: 'reset', 4: 'failed', 5: 'refused' };

/** Of what is about the gateway itself. */
const eventStatuses: Readonly<Record<string, string>> = { Notice: 'NOTICE', 'Relay crashed': 'CRASH' };

/** Reads a line of a log; undefined when it is no record of ours. */
export function recordView(text: string): RecordView | undefined {
  const record = parse(text);
  if (record === undefined) return undefined;
  // What passed within a flow is of the same class as its end.
  const kind = numberAt(record, 'type_uid') === 400106 ? 'messages' : kinds[String(at(record, 'class_uid'))];
  const timeMs = numberAt(record, 'time');
  if (kind === undefined || timeMs === undefined) return undefined;
  const subject = kind === 'alarm' ? (listAt(record, 'evidences')[0] ?? {}) : record;
  return {
    kind,
    timeMs,
    assetId: textAt(record, 'unmapped.gateway.asset.id'),
    clientIp: textAt(subject, 'src_endpoint.ip'),
    ...subjectOf(kind, record, subject),
    flowId: textAt(record, 'metadata.correlation_uid'),
    label: listAt(record, 'metadata.labels').map(String)[0] ?? '',
    ruleIds: listAt(record, 'unmapped.gateway.rule_ids').map(String),
    failure: textAt(record, 'unmapped.gateway.failure'),
    detail: kind === 'loss' ? textAt(record, 'message') : textAt(record, 'status_detail'),
    status: statusOf(kind, record),
    bytes: numberAt(record, kind === 'mail' ? 'email.size' : 'traffic.bytes'),
    durationMs: kind === 'alarm' ? undefined : numberAt(record, 'duration'),
    verdict: textAt(record, verdictPaths[kind]),
    severity: severities[numberAt(record, 'severity_id') ?? 0] ?? 'unknown',
    evidence: `${textAt(subject, 'data.field')} ${textAt(subject, 'data.excerpt')}`.trim(),
  };
}

const kinds: Readonly<Record<string, RecordView['kind']>> = {
  4002: 'transaction',
  4008: 'transfer',
  4009: 'mail',
  4001: 'flow',
  2004: 'alarm',
  0: 'loss',
};
const verdictPaths = {
  transaction: 'unmapped.gateway.verdict',
  mail: 'unmapped.gateway.verdict',
  transfer: 'unmapped.gateway.verdict',
  messages: 'unmapped.gateway.verdict',
  flow: 'unmapped.gateway.decision',
  alarm: 'unmapped.gateway.action',
  loss: '',
} as const;

type Subject = Pick<RecordView, 'method' | 'target' | 'hosts'>;

function subjectOf(kind: RecordView['kind'], record: unknown, subject: unknown): Subject {
  if (kind === 'mail') return mailOf(record);
  if (kind === 'transfer') return transferOf(record);
  return requestOf(record, subject);
}

/** Addresses as they were sent: OCSF's own slots hold only those of the common form. */
function mailOf(record: unknown): Subject {
  const [first = '', ...more] = listAt(record, 'unmapped.gateway.mail.to').map(String);
  const to = more.length === 0 ? first : `${first} and ${more.length} more`;
  const title = textAt(record, 'email.subject');
  const target = `${textAt(record, 'unmapped.gateway.mail.from')} → ${to}${title && ` "${title}"`}`;
  return { method: 'MAIL', target, hosts: destinationOf(record) };
}

function transferOf(record: unknown): Subject {
  const hosts = destinationOf(record);
  const path = textAt(record, 'name');
  return {
    method: textAt(record, 'command'),
    target: `${hosts[0] ?? ''}${path && `/${path.replace(/^\//, '')}`}`,
    hosts,
  };
}

function destinationOf(subject: unknown): readonly string[] {
  return ['hostname', 'name', 'ip'].map((name) => textAt(subject, `dst_endpoint.${name}`)).filter(Boolean);
}

function requestOf(record: unknown, subject: unknown): Subject {
  const url = at(subject, 'url') === undefined ? 'http_request.url' : 'url';
  const method =
    textAt(subject, 'http_request.http_method') ||
    textAt(record, 'activity_name') ||
    textAt(record, 'unmapped.gateway.method');
  const host = textAt(subject, `${url}.hostname`) || textAt(subject, `${url}.domain`);
  const authority = host === '' ? '' : `${host}${portText(subject, url)}`;
  const destination = destinationOf(subject);
  const query = textAt(subject, `${url}.query_string`);
  const path = textAt(subject, `${url}.path`) || textAt(subject, `${url}.url_string`);
  const hosts = [host, ...destination, textAt(subject, 'tls.sni')].filter(Boolean);
  if (url === 'url') return { method: 'WEBSOCKET', target: `${authority}${path}${query && `?${query}`}`, hosts };
  if (path !== '')
    return { method, target: `${authority || destination[0] || ''}${path}${query && `?${query}`}`, hosts };
  const port = numberAt(subject, 'dst_endpoint.port');
  const target = destination[0] === undefined ? '' : `${destination[0]}:${port ?? ''}`;
  return { method: '', target, hosts };
}

/** The port of a URL where it is not that of its scheme. */
function portText(subject: unknown, url: string): string {
  const port = numberAt(subject, `${url}.port`);
  const usual = textAt(subject, `${url}.scheme`).startsWith('https') ? 443 : 80;
  return port === undefined || port === usual ? '' : `:${port}`;
}

function statusOf(kind: RecordView['kind'], record: unknown): string {
  switch (kind) {
    case 'transaction':
      return textAt(record, 'unmapped.gateway.answered') || textAt(record, 'http_response.code') || '-';
    case 'mail':
      return textAt(record, 'unmapped.gateway.mail.reply_code') || '-';
    case 'transfer':
      return textAt({ reply: listAt(record, 'codes')[0] }, 'reply') || '-';
    case 'messages':
      return textAt(record, 'count');
    case 'flow':
      return connectionEnds[textAt(record, 'activity_id')] ?? '-';
    case 'alarm':
      return 'ALARM';
    case 'loss':
      return eventStatuses[textAt(record, 'activity_name')] ?? 'LOST';
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The value at a path of names with dots between; undefined when there is none. */
function at(record: unknown, path: string): unknown {
  let value = record;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

function textAt(record: unknown, path: string): string {
  const value = at(record, path);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function numberAt(record: unknown, path: string): number | undefined {
  const value = at(record, path);
  return typeof value === 'number' ? value : undefined;
}

function listAt(record: unknown, path: string): readonly unknown[] {
  const value = at(record, path);
  return Array.isArray(value) ? value : [];
}
