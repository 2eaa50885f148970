/** Head of a scanner's answer. */
export interface IcapAnswerHead {
  readonly status: number;
  /** Names in lower case. */
  readonly fields: ReadonlyMap<string, string>;
  /** Which HTTP head comes; undefined for none. */
  readonly httpHead: 'req-hdr' | 'res-hdr' | undefined;
  readonly httpHeadBytes: number;
  readonly hasBody: boolean;
  /** Whether the connection may be used again. */
  readonly isPersistent: boolean;
}

/** Reads the head of an answer, up to its empty line; a text says what is wrong. Whatever could be read in two ways is. */
export function parseIcapAnswerHead(head: Buffer): IcapAnswerHead | string {
  const lines = head.toString('latin1', 0, head.length - 4).split('\r\n');
  const status = /^ICAP\/1\.0 ([1-5]\d\d)(?: [\t -~\x80-\xff]*)?$/.exec(lines[0] ?? '')?.[1];
  if (status === undefined) return 'no status line of ICAP/1.0';
  const fields = fieldsOf(lines.slice(1));
  if (typeof fields === 'string') return fields;
  const parts = partsOf(fields.get('encapsulated'));
  if (typeof parts === 'string') return parts;
  const isPersistent = !/(?:^|,)\s*close\s*(?:,|$)/i.test(fields.get('connection') ?? '');
  return { status: Number(status), fields, isPersistent, ...parts };
}

function fieldsOf(lines: readonly string[]): ReadonlyMap<string, string> | string {
  const fields = new Map<string, string>();
  let last = '';
  for (const line of lines) {
    // Reports of scanners come on several lines, as RFC 2616 section 4.2 allowed.
    const folded = /^[ \t]+([\t -~\x80-\xff]*)$/.exec(line)?.[1];
    if (folded !== undefined && last !== '' && last !== 'encapsulated') {
      fields.set(last, `${fields.get(last)} ${folded.trimEnd()}`);
      continue;
    }
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return 'a line that is no field';
    last = name.toLowerCase();
    if (fields.has(last) && (last === 'encapsulated' || last === 'connection')) return `${last} twice`;
    if (!fields.has(last)) fields.set(last, value.trimEnd());
  }
  return fields;
}

type Parts = Pick<IcapAnswerHead, 'httpHead' | 'httpHeadBytes' | 'hasBody'>;

const noParts: Parts = { httpHead: undefined, httpHeadBytes: 0, hasBody: false };

/** An answer holds one HTTP message at most: its head from offset 0, and its body or the word that there is none. */
function partsOf(encapsulated: string | undefined): Parts | string {
  if (encapsulated === undefined) return noParts;
  const [, headName, bodyName, offset] =
    /^(?:(req-hdr|res-hdr)=0, *)?(req-body|res-body|opt-body|null-body)=(0|[1-9]\d{0,6})$/.exec(encapsulated) ?? [];
  if (bodyName === undefined || offset === undefined) return 'an encapsulated list that cannot be';
  const httpHeadBytes = Number(offset);
  const hasBody = bodyName !== 'null-body';
  if (headName === undefined) {
    const isFit = httpHeadBytes === 0 && (bodyName === 'null-body' || bodyName === 'opt-body');
    return isFit ? { ...noParts, hasBody } : 'an encapsulated body without its head';
  }
  if (httpHeadBytes === 0 || (hasBody && bodyName.slice(0, 4) !== headName.slice(0, 4))) {
    return 'an encapsulated body that does not fit its head';
  }
  return { httpHead: headName === 'req-hdr' ? 'req-hdr' : 'res-hdr', httpHeadBytes, hasBody };
}
