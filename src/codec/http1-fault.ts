import type { FailureCode } from '../core/failures.ts';
import type { Side } from '../core/side.ts';

/** How bytes break HTTP/1.1; with the side that sent them it makes a failure code. */
export type Http1Fault = 'malformed' | 'ambiguous' | 'too-large' | 'version';

/** A message that is refused. `detail` never holds a value that was sent. */
export interface HeadFailure {
  readonly kind: 'failed';
  readonly code: FailureCode;
  readonly detail: string;
  /** Set where HTTP asks for another status than the code's own. */
  readonly status?: number;
}

const codes: Readonly<Record<Side, Readonly<Record<Http1Fault, FailureCode>>>> = {
  client: {
    malformed: 'CLIENT_HTTP_MALFORMED',
    ambiguous: 'CLIENT_HTTP_AMBIGUOUS',
    'too-large': 'CLIENT_HTTP_HEAD_TOO_LARGE',
    version: 'CLIENT_HTTP_VERSION',
  },
  origin: {
    malformed: 'ORIGIN_HTTP_MALFORMED',
    ambiguous: 'ORIGIN_HTTP_AMBIGUOUS',
    'too-large': 'ORIGIN_HTTP_HEAD_TOO_LARGE',
    version: 'ORIGIN_HTTP_MALFORMED',
  },
};

/** The failure of a side that sent bytes with this fault. */
export function headFailure(side: Side, fault: Http1Fault, detail: string): HeadFailure {
  return { kind: 'failed', code: codes[side][fault], detail };
}

/** The failure of a side whose head or trailers `SectionBuffer.append` has refused. */
export function sectionFailure(side: Side, isTooLarge: boolean): HeadFailure {
  return headFailure(
    side,
    isTooLarge ? 'too-large' : 'ambiguous',
    isTooLarge ? 'a head beyond the limit' : 'a bare LF',
  );
}
