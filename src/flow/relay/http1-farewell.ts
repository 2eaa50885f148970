import type { ParsedResponse } from '../../codec/http1-head.ts';
import type { ResponseHead } from '../../core/http.ts';
import type { HeadChanges } from '../../core/verdict.ts';
import type { Pipeline } from './http1-pipeline.ts';

/** Whether this response can be the last of a connection that is to end: nobody waits for another, and none was announced. */
export function endsHere({ isDraining, length, first }: Pipeline, { persistent }: ParsedResponse): boolean {
  return isDraining && persistent && length === 1 && first?.isRequestDone === true;
}

/** What tells the client that nothing follows this response (RFC 9112 section 9.6), beside what else is changed in its head. */
export function farewell(head: ResponseHead, changes: HeadChanges | undefined): HeadChanges {
  const options = head.headers
    .filter(([name]) => name.toLowerCase() === 'connection')
    .flatMap(([, value]) => value.split(','))
    .map((option) => option.trim());
  const kept = options.filter((option) => option !== '' && !/^(?:keep-alive|close)$/i.test(option));
  const set = (changes?.set ?? []).filter(([name]) => name.toLowerCase() !== 'connection');
  return {
    ...changes,
    remove: [...(changes?.remove ?? []), 'keep-alive'],
    set: [...set, ['Connection', [...kept, 'close'].join(', ')]],
  };
}
