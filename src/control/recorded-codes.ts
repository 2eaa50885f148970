import type { FailureCode } from '../core/failures.ts';
import { findLogs } from '../records/log-files.ts';
import { readForward } from '../records/log-reader.ts';

/** What was recorded of a flow, as far as it is asked here. */
interface FlowLine {
  readonly class_uid?: unknown;
  readonly src_endpoint?: { readonly port?: unknown };
  readonly unmapped?: { readonly gateway?: { readonly failure?: unknown } };
}

/** Failure codes of the flows recorded since a time, by the client's port; undefined for flows that did not fail. */
export function recordedCodes(directory: string, sinceMs: number): ReadonlyMap<number, FailureCode | undefined> {
  const codes = new Map<number, FailureCode | undefined>();
  for (const { text } of readForward(findLogs(directory, ['traffic']), sinceMs)) {
    const line = JSON.parse(text) as FlowLine;
    const port = line.src_endpoint?.port;
    if (line.class_uid !== 4001 || typeof port !== 'number') continue;
    codes.set(port, line.unmapped?.gateway?.failure as FailureCode | undefined);
  }
  return codes;
}
