import type { ResponseHead } from '../../core/http.ts';
import type { HeadChanges } from '../../core/verdict.ts';

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
