import type { Header } from '../../core/http.ts';
import { limits } from '../../core/limits.ts';
import { allow, keptBytes, type Verdict } from '../../core/verdict.ts';
import { shortageRefusal } from './held-memory.ts';
import { refusalOf } from './http1-pipeline.ts';
import { forwardedFields } from './http2-field-changes.ts';
import type { FieldBlock, HeldMessage } from './http2-held-message.ts';

const never = Number.POSITIVE_INFINITY;

/** DATA of a message that is held or masked, or that waits for a window: judged where it lies, before it goes on. */
export function receiveHeld(held: HeldMessage, bytes: Buffer, windowBytes: number, endsStream: boolean): void {
  held.took(windowBytes);
  const kept = held.push(bytes);
  if (kept === undefined) refuseOverload(held);
  else if (awaitsAnswer(held)) keepEarly(held);
  else keepJudged(held, kept.length === 0 ? undefined : judge(held, kept), endsStream);
}

/** DATA that was judged and must not go on as it came: its message does not pass frame by frame from here on. */
export function holdJudged(
  held: HeldMessage,
  bytes: Buffer,
  windowBytes: number,
  verdict: Verdict,
  ends: boolean,
): void {
  held.took(windowBytes);
  // What is to be masked later is masked where it was judged.
  if (held.adopt(bytes)) keepJudged(held, verdict, ends);
  else refuseOverload(held);
}

/** The end of such a message, with the trailers that it has. */
export function endHeld(held: HeldMessage, trailers: FieldBlock | undefined, headers: readonly Header[]): void {
  const { connection, stream, to } = held;
  const { inspected } = stream;
  let verdict: Verdict = allow;
  if (!stream.isTunnel) verdict = to === 'origin' ? inspected.requestEnd(headers) : inspected.responseEnd(headers);
  if (verdict.kind !== 'allow') {
    connection.refuse(stream, refusalOf(verdict));
    return;
  }
  held.end(trailers && { ...trailers, fields: forwardedFields(trailers.fields, verdict) });
  if (verdict.until === undefined) return release(held);
  held.keep(never);
  held.refund();
  connection.await(stream, verdict.until, (settled) => {
    if (settled.kind === 'allow') release(held);
    else connection.refuse(stream, refusalOf(settled));
  });
}

/** Lets all go that waits. */
export function release(held: HeldMessage): void {
  held.keep(0);
  held.advance();
  held.refund();
}

/** Of an extended CONNECT that was not answered yet nobody knows what its bytes are (RFC 8441 section 5). */
function awaitsAnswer({ stream, to }: HeldMessage): boolean {
  return to === 'origin' && stream.protocol !== undefined && !stream.isTunnel;
}

function keepEarly(held: HeldMessage): void {
  if (held.bodyBytes > limits.sendBufferBytes) return refuseOverload(held);
  held.keep(never);
  held.refund();
}

function keepJudged(held: HeldMessage, verdict: Verdict | undefined, endsStream: boolean): void {
  if (verdict !== undefined && verdict.kind !== 'allow') {
    held.connection.refuse(held.stream, refusalOf(verdict));
    return;
  }
  if (verdict !== undefined) held.keep(keptBytes(verdict));
  if (endsStream) return endHeld(held, undefined, []);
  held.advance();
  held.refund();
}

function judge({ stream, to }: HeldMessage, bytes: Buffer): Verdict {
  if (stream.isTunnel) return allow;
  return to === 'origin' ? stream.inspected.requestBody(bytes) : stream.inspected.responseBody(bytes);
}

function refuseOverload({ connection, stream, shortage }: HeldMessage): void {
  connection.refuse(stream, shortageRefusal(shortage));
}
