import { describe, expect, test } from 'vitest';
import type { Header } from '../../src/core/http.ts';
import type { Match } from '../../src/core/verdict.ts';
import { parseRuleFile } from '../../src/rules/rule-file.ts';
import { context, ids, request, response, rulesOf, ruleWhen } from './exchange.ts';

interface Passing {
  readonly body?: string;
  readonly requestHeaders?: readonly Header[];
  readonly requestTrailers?: readonly Header[];
  readonly interim?: readonly Header[];
  readonly responseHeaders?: readonly Header[];
  readonly responseTrailers?: readonly Header[];
}

/** Runs an exchange and says at which step each rule was true. */
function steps(rules: ReturnType<typeof rulesOf>, passing: Passing): Readonly<Record<string, readonly string[]>> {
  const scan = rules.begin(context);
  const found: Record<string, readonly string[]> = {};
  const at = (step: string, matches: readonly Match[]): void => {
    if (matches.length > 0) found[step] = ids(matches);
  };
  at('request', scan.requestHead(request({ headers: passing.requestHeaders ?? [] })));
  at('body', scan.requestBody(Buffer.from(passing.body ?? 'body')));
  at('end', scan.requestEnd());
  at('request trailers', scan.trailers('request', passing.requestTrailers ?? []));
  if (passing.interim !== undefined) at('interim', scan.interim(response({ status: 103, headers: passing.interim })));
  at('response', scan.responseHead(response({ headers: passing.responseHeaders ?? [] })));
  at('response end', scan.responseEnd());
  at('response trailers', scan.trailers('response', passing.responseTrailers ?? []));
  return found;
}

const evil: readonly Header[] = [['X-Note', 'evil']];
const good: readonly Header[] = [['x-note', 'good']];

describe('a test of a header', () => {
  const onRequest = ruleWhen('{ field: http.request.header.X-Note, equals: evil }');
  const onResponse = ruleWhen('{ field: http.response.headers, contains: evil }');

  test('becomes true by a trailer', () => {
    expect(steps(onRequest, { requestHeaders: good, requestTrailers: evil })).toEqual({ 'request trailers': ['r'] });
    expect(steps(onResponse, { responseTrailers: evil })).toEqual({ 'response trailers': ['r'] });
  });

  test('becomes true by an interim response', () => {
    expect(steps(onResponse, { interim: evil })).toEqual({ interim: ['r'] });
  });

  test('is reported once', () => {
    const everywhere = { requestHeaders: evil, requestTrailers: evil };
    expect(steps(onRequest, everywhere)).toEqual({ request: ['r'] });
    expect(steps(onResponse, { interim: evil, responseHeaders: evil, responseTrailers: evil })).toEqual({
      interim: ['r'],
    });
  });

  test('of the other message sees nothing of it', () => {
    expect(steps(onRequest, { interim: evil, responseTrailers: evil })).toEqual({});
    expect(steps(onResponse, { requestTrailers: evil })).toEqual({});
  });

  test('joined with what is known by then counts all of it', () => {
    const rules = ruleWhen(
      '{ all: [{ field: http.method, equals: POST }, { field: http.request.header.X-Note, equals: evil }] }',
    );
    expect(steps(rules, { requestTrailers: evil })).toEqual({ 'request trailers': ['r'] });
  });

  test('joined with a body that is still open counts that of the body', () => {
    const when =
      '{ all: [{ field: http.response.header.X-Note, equals: evil }, { field: http.request.body, contains: needle }] }';
    expect(steps(ruleWhen(when), { body: 'a needle', responseTrailers: evil })).toEqual({
      'response trailers': ['r'],
    });
    expect(steps(ruleWhen(when), { body: 'hay', responseTrailers: evil })).toEqual({});
  });

  test('that found nothing in an interim response waits for the final one', () => {
    expect(steps(onResponse, { interim: good, responseHeaders: evil })).toEqual({ response: ['r'] });
  });
});

describe('what is not there', () => {
  test('is decided by the head, and by the final response', () => {
    const missing = ruleWhen('{ field: http.response.header.X-Note, exists: false }');
    expect(steps(missing, { interim: [['Link', 'x']], responseHeaders: good })).toEqual({});
    expect(steps(missing, { interim: [['Link', 'x']] })).toEqual({ response: ['r'] });
    const not = ruleWhen('{ not: { field: http.request.header.X-Note, equals: good } }');
    expect(steps(not, { requestHeaders: good, requestTrailers: evil })).toEqual({});
    expect(steps(not, { requestTrailers: good })).toEqual({ request: ['r'] });
  });
});

describe('a test of trailers', () => {
  const rules = ruleWhen('{ field: http.request.trailer.x-NOTE, equals: evil }');

  test('sees trailers alone, whatever the case of their names', () => {
    expect(steps(rules, { requestHeaders: evil })).toEqual({});
    expect(steps(rules, { requestTrailers: evil })).toEqual({ 'request trailers': ['r'] });
    expect(steps(rules, { requestTrailers: good })).toEqual({});
  });

  test('of all of them sees their lines', () => {
    const all = ruleWhen('{ field: http.response.trailers, contains: "X-Note: evil\\r\\n" }');
    expect(steps(all, { responseTrailers: [['A', 'b'], ...evil] })).toEqual({ 'response trailers': ['r'] });
  });

  test('that there are none is true of a message without', () => {
    const none = ruleWhen('{ field: http.request.trailers, exists: false }');
    expect(steps(none, {})).toEqual({ 'request trailers': ['r'] });
    expect(steps(none, { requestTrailers: evil })).toEqual({});
  });

  test('comes too late to change a header', () => {
    const rule =
      '- { id: r, title: t, action: setHeader, header: { in: request, name: A, value: b }, when: { field: http.request.trailer.X, equals: y } }';
    expect(parseRuleFile(rule, 'x').problems[0]?.message).toContain('known too late');
  });
});

describe('rules of other kinds', () => {
  test('that allow look at heads alone, and what stands behind one that was true stays undone', () => {
    const rules = rulesOf(`
      - { id: allow, title: t, action: allow, when: { field: http.request.header.X-Note, equals: evil } }
      - { id: block, title: t, action: block, when: { field: http.request.header.X-Other, equals: evil } }`);
    const other: readonly Header[] = [['X-Other', 'evil']];
    expect(steps(rules, { requestTrailers: [...evil, ...other] })).toEqual({ 'request trailers': ['block'] });
    expect(steps(rules, { requestHeaders: evil, requestTrailers: other })).toEqual({ request: ['allow'] });
  });

  test('that change headers look at heads alone', () => {
    const rules = rulesOf(
      '- { id: r, title: t, action: removeHeader, header: { in: response, name: A }, when: { field: http.response.header.X-Note, equals: evil } }',
    );
    expect(steps(rules, { interim: evil, responseTrailers: evil })).toEqual({});
  });
});
