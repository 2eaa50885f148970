import type { Http1Fault } from './http1-fault.ts';

/** Why a message is malformed (RFC 9113 section 8.1.1). `detail` never holds a value that was sent. */
export interface Http2Fault {
  readonly fault: Exclude<Http1Fault, 'version'>;
  readonly detail: string;
}
