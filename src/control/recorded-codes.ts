import type { FailureCode } from '../core/failures.ts';
import { findLogs } from '../records/log-files.ts';
import { readForward } from '../records/log-reader.ts';
import type { FlowPorts } from '../selftest/probe.ts';

/** What was recorded of a flow, as far as it is asked here. */
interface FlowLine {
  readonly class_uid?: unknown;
  readonly src_endpoint?: { readonly port?: unknown };
  readonly dst_endpoint?: { readonly port?: unknown };
  readonly unmapped?: { readonly gateway?: { readonly failure?: unknown } };
}

/** Failure codes of recorded flows, found by both ports of a flow. */
export class RecordedCodes {
  readonly #codes = new Map<string, FailureCode | undefined>();

  /** Whether such a flow is recorded. */
  has(ports: FlowPorts): boolean {
    return this.#codes.has(keyOf(ports));
  }

  /** Undefined for a flow that did not fail, or is not recorded. */
  of(ports: FlowPorts): FailureCode | undefined {
    return this.#codes.get(keyOf(ports));
  }

  add(ports: FlowPorts, code: FailureCode | undefined): void {
    this.#codes.set(keyOf(ports), code);
  }
}

function keyOf({ client, origin }: FlowPorts): string {
  return `${client} ${origin}`;
}

/** The codes of the flows recorded since a time. */
export function recordedCodes(directory: string, sinceMs: number): RecordedCodes {
  const codes = new RecordedCodes();
  for (const { text } of readForward(findLogs(directory, ['traffic']), sinceMs)) {
    const line = JSON.parse(text) as FlowLine;
    const client = line.src_endpoint?.port;
    const origin = line.dst_endpoint?.port;
    if (line.class_uid !== 4001 || typeof client !== 'number' || typeof origin !== 'number') continue;
    codes.add({ client, origin }, line.unmapped?.gateway?.failure as FailureCode | undefined);
  }
  return codes;
}
