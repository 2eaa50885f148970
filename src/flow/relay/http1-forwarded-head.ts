import type { ParsedRequest } from '../../codec/http1-head.ts';
import { changeHead } from '../../codec/http1-head-changes.ts';
import { rewriteHead } from '../../codec/http1-rewrite.ts';
import type { Verdict } from '../../core/verdict.ts';

/** The head that goes on in place of the one that stands in the bytes; undefined when it goes on as it is. */
export function forwardedHead(
  bytes: Buffer,
  at: number,
  parsed: ParsedRequest,
  asProxy: boolean,
  verdict: Verdict,
): Buffer | undefined {
  const changes = verdict.kind === 'allow' ? verdict.changes : undefined;
  const isRewritten = asProxy || parsed.offersHttp2;
  if (!isRewritten && changes === undefined) return undefined;
  const head = bytes.subarray(at, at + parsed.length);
  const rewrite = { asProxy, withoutHttp2Offer: parsed.offersHttp2 };
  const rewritten = isRewritten ? rewriteHead(head, parsed, rewrite) : head;
  return changes === undefined ? rewritten : changeHead(rewritten, changes);
}
