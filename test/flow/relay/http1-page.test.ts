import { describe, expect, test } from 'vitest';
import { type FailureCode, failures } from '../../../src/core/failures.ts';
import { type FailurePage, failurePage } from '../../../src/flow/relay/http1-page.ts';

interface Answer {
  readonly status: number;
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
}

function answer(page: Partial<FailurePage> & { readonly code: FailureCode }): Answer {
  const text = failurePage({ flowId: 'flow-1', ...page }).toString('utf8');
  const [head = '', body = ''] = [text.slice(0, text.indexOf('\r\n\r\n')), text.slice(text.indexOf('\r\n\r\n') + 4)];
  const [line = '', ...fields] = head.split('\r\n');
  const named = fields.map((field) => [
    field.split(': ')[0]?.toLowerCase() ?? '',
    field.slice(field.indexOf(': ') + 2),
  ]);
  return { status: Number(line.split(' ')[1]), fields: new Map(named as [string, string][]), body };
}

describe('the page of a failure', () => {
  test.each(Object.keys(failures) as FailureCode[])('is a whole response with status and meaning: %s', (code) => {
    const { status, fields, body } = answer({ code, detail: 'ß < 1' });
    expect(status).toBe(failures[code].status);
    expect(Number(fields.get('content-length'))).toBe(Buffer.byteLength(body));
    expect(fields.get('connection')).toBe('close');
    expect(fields.get('cache-control')).toBe('no-store');
    expect(fields.get('daylight-failure')).toBe(code);
    expect(body).toContain(code);
    expect(body).toContain('flow-1');
    // What went wrong inside the gateway is for its operator alone.
    expect(body.includes('ß &lt; 1')).toBe(code !== 'GATEWAY_INTERNAL');
  });

  test('cannot be made to hold markup', () => {
    const rule = { id: '<b>', title: '"><script>alert(1)</script>', rev: 1 };
    const { body } = answer({ code: 'POLICY_RULE_BLOCK', rule, detail: "<img src=x onerror='a'>", flowId: '<i>' });
    expect(body).not.toMatch(/<(?:b|script|img|i)>?[ >]/);
    expect(body).toContain('&lt;script&gt;');
  });

  test.each([
    [undefined, 'text/html; charset=utf-8'],
    ['*/*', 'text/html; charset=utf-8'],
    ['text/html,application/xhtml+xml,application/json;q=0.9', 'text/html; charset=utf-8'],
    ['application/json', 'application/json'],
    ['application/json, text/plain, */*', 'application/json'],
    ['application/problem+json', 'application/json'],
    ['application/json, text/html', 'application/json'],
    ['application/jsonish', 'text/html; charset=utf-8'],
  ])('speaks the language that is accepted: %s', (accept, type) => {
    const { fields, body } = answer({ code: 'ORIGIN_REFUSED', accept });
    expect(fields.get('content-type')).toBe(type);
    if (type === 'application/json')
      expect(JSON.parse(body)).toMatchObject({ code: 'ORIGIN_REFUSED', flowId: 'flow-1' });
  });

  test('in answer to HEAD has the length but no body', () => {
    const { fields, body } = answer({ code: 'ORIGIN_REFUSED', method: 'HEAD' });
    expect(Number(fields.get('content-length'))).toBeGreaterThan(100);
    expect(body).toBe('');
  });

  test('asks for credentials with 407 and names the methods with 405', () => {
    expect(answer({ code: 'CLIENT_PROXY_AUTH_REQUIRED' }).fields.get('proxy-authenticate')).toMatch(/^Basic /);
    expect(answer({ code: 'POLICY_CONNECT_REFUSED' }).fields.get('allow')).toContain('GET');
  });
});
