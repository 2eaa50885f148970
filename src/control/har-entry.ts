type Json = Readonly<Record<string, unknown>>;

/** What a HAR file begins with (HAR 1.2), up to its first entry, and what ends it. */
export const harStart =
  '{"log":{"version":"1.2","creator":{"name":"Daylight","version":"1"},"comment":"Made of records: secrets are masked, bodies are excerpts","entries":[';
export const harEnd = ']}}\n';

/**
 * A traffic record of an HTTP transaction as an entry of a HAR file, as JSON; undefined for every other record. What HAR
 * asks for and a record does not hold has the value that HAR gives to the unknown.
 */
export function harEntry(line: string): string | undefined {
  const record = parse(line);
  if (record.class_uid !== 4002) return undefined;
  const request = objectAt(record, 'http_request');
  const response = objectAt(record, 'http_response');
  const gateway = objectAt(objectAt(record, 'unmapped'), 'gateway');
  const serverIp = textAt(objectAt(record, 'dst_endpoint'), 'ip');
  const duration = numberAt(record, 'duration', 0);
  return JSON.stringify({
    startedDateTime: new Date(numberAt(record, 'start_time', 0)).toISOString(),
    time: duration,
    request: requestPart(record, request, gateway),
    response: responsePart(response, gateway),
    cache: {},
    timings: { send: 0, wait: duration, receive: 0 },
    ...(serverIp === '' ? {} : { serverIPAddress: serverIp }),
    connection: textAt(objectAt(record, 'metadata'), 'correlation_uid'),
    comment: `record ${textAt(objectAt(record, 'metadata'), 'uid')}, verdict ${textAt(gateway, 'verdict')}${answerOf(gateway)}`,
  });
}

/** A response that the origin gave may be another than the one that the client got. */
function answerOf(gateway: Json): string {
  const answered = numberAt(gateway, 'answered', 0);
  return answered === 0 ? '' : `, answered ${answered} by the gateway`;
}

function requestPart(record: Json, request: Json, gateway: Json): Json {
  const url = objectAt(request, 'url');
  const query = textAt(url, 'query_string');
  const body = contentOf(objectAt(gateway, 'request_body'));
  const headers = headersOf(request);
  const mimeType = headers.find(({ name }) => name.toLowerCase() === 'content-type')?.value ?? '';
  return {
    method: textAt(request, 'http_method') || textAt(record, 'activity_name') || 'OTHER',
    url: urlOf(url, query),
    httpVersion: `HTTP/${textAt(request, 'version')}`,
    cookies: [],
    headers,
    queryString: query === '' ? [] : query.split('&').map(pairOf),
    ...(body === undefined ? {} : { postData: { mimeType, text: body.text, ...commentOf(body) } }),
    headersSize: -1,
    bodySize: numberAt(request, 'body_length', 0),
  };
}

function responsePart(response: Json, gateway: Json): Json {
  const body = contentOf(objectAt(gateway, 'response_body'));
  const headers = headersOf(response);
  const size = numberAt(response, 'body_length', 0);
  const version = textAt(objectAt(gateway, 'origin_tls'), 'alpn') === 'h2' ? 'HTTP/2' : 'HTTP/1.1';
  return {
    // 0 stands for a response that never came, as browsers write it.
    status: numberAt(response, 'code', 0),
    statusText: textAt(response, 'status'),
    httpVersion: version,
    cookies: [],
    headers,
    content: {
      size,
      mimeType: textAt(response, 'content_type'),
      ...(body === undefined ? {} : { text: body.text, ...commentOf(body) }),
      ...(body?.isBinary ? { encoding: 'base64' } : {}),
    },
    redirectURL: headers.find(({ name }) => name.toLowerCase() === 'location')?.value ?? '',
    headersSize: -1,
    bodySize: size,
  };
}

interface Content {
  readonly text: string;
  readonly isBinary: boolean;
  readonly isCut: boolean;
}

function contentOf(body: Json): Content | undefined {
  const isCut = body.is_truncated === true;
  if (typeof body.text === 'string') return { text: body.text, isBinary: false, isCut };
  if (typeof body.hex !== 'string') return undefined;
  return { text: Buffer.from(body.hex, 'hex').toString('base64'), isBinary: true, isCut };
}

function commentOf({ isCut, isBinary }: Content): Json {
  const notes = [...(isCut ? ['the begin of it'] : []), ...(isBinary ? ['base64'] : [])];
  return notes.length === 0 ? {} : { comment: notes.join(', ') };
}

function headersOf(message: Json): readonly { readonly name: string; readonly value: string }[] {
  const headers = message.http_headers;
  if (!Array.isArray(headers)) return [];
  return headers.map((header: Json) => ({ name: textAt(header, 'name'), value: textAt(header, 'value') }));
}

function urlOf(url: Json, query: string): string {
  const host = textAt(url, 'hostname') || textAt(url, 'domain');
  const port = numberAt(url, 'port', 0);
  const scheme = textAt(url, 'scheme') || 'http';
  const isPlain = port === 0 || port === (scheme === 'https' ? 443 : 80);
  const text = `${scheme}://${host}${isPlain ? '' : `:${port}`}${textAt(url, 'path')}${query === '' ? '' : `?${query}`}`;
  // A target that is no URL stays readable: HAR asks for text.
  return URL.canParse(text) ? new URL(text).href : text;
}

function pairOf(text: string): Json {
  const at = text.indexOf('=');
  return at < 0 ? { name: text, value: '' } : { name: text.slice(0, at), value: text.slice(at + 1) };
}

function parse(line: string): Json {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

function objectAt(json: Json, name: string): Json {
  const value = json[name];
  return isObject(value) ? value : {};
}

function textAt(json: Json, name: string): string {
  const value = json[name];
  return typeof value === 'string' ? value : '';
}

function numberAt(json: Json, name: string, otherwise: number): number {
  const value = json[name];
  return typeof value === 'number' ? value : otherwise;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
