/** How a multipart body is cut into parts by its Content-Type (RFC 2046 section 5.1.1). */
export interface MultipartType {
  /** Undefined where none can be read. */
  readonly boundary: string | undefined;
  /** Why a recipient may cut the body by another boundary. */
  readonly doubt: string | undefined;
}

/** Longest boundary that is looked for; the RFC allows 70 characters. */
const mostBytes = 256;
const parameter = /;(\s*)boundary(\s*)=(\s*)(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))/i;
/** The same parameter, wherever and in whatever form a recipient might find it: some search the text alone, within quotes too. */
const anyBoundary = /boundary[^;,"=]{0,64}=/gi;

/** Reads a Content-Type; undefined when it is not multipart. */
export function multipartType(contentType: string): MultipartType | undefined {
  if (!/^\s*multipart\//i.test(contentType)) return undefined;
  const found = parameter.exec(contentType);
  const boundary = found?.[4]?.replace(/\\(.)/g, '$1') ?? found?.[5];
  if (found === null || boundary === undefined || boundary === '' || boundary.length > mostBytes) {
    return { boundary: undefined, doubt: 'multipart without a boundary that can be read' };
  }
  if ((contentType.match(anyBoundary)?.length ?? 0) > 1)
    return { boundary, doubt: 'multipart with several boundaries' };
  return { boundary, doubt: isPlain(found, contentType) ? undefined : 'multipart with a boundary of several readings' };
}

/** Whether no recipient can take more or less for the boundary: nothing to undo, no blanks about it, nothing behind it. */
function isPlain(found: RegExpExecArray, contentType: string): boolean {
  const [whole, , beforeEquals, behindEquals, quoted, token] = found;
  const behind = contentType.slice(found.index + whole.length);
  const hasBlanks = beforeEquals !== '' || behindEquals !== '';
  return !hasBlanks && /^\s*(?:;|$)/.test(behind) && !/\\/.test(quoted ?? '') && !/[,"\\]/.test(token ?? '');
}
