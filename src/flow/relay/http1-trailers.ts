import type { BodyReader } from '../../codec/http1-body.ts';
import { changeTrailers } from '../../codec/http1-head-changes.ts';
import type { Verdict } from '../../core/verdict.ts';
import type { Forwarder } from './http1-forwarder.ts';

/**
 * Forwards the end of a body that was read from `bytes` up to `after`: whole where its trailers came in parts, and changed
 * as the verdict on it says.
 */
export function forwardTrailers(
  forwarder: Forwarder,
  body: BodyReader,
  bytes: Buffer,
  after: number,
  verdict: Verdict,
): void {
  // What is refused was discarded.
  if (verdict.kind !== 'allow') return;
  const { section, heldFrom, trailersFrom } = body;
  const { changes } = verdict;
  if (changes === undefined) {
    if (section !== undefined) forwarder.replace(heldFrom, after, section);
  } else if (section !== undefined) forwarder.replace(heldFrom, after, changeTrailers(section, changes));
  else forwarder.replace(trailersFrom, after, changeTrailers(bytes.subarray(trailersFrom, after), changes));
}
