import { describe, expect, test } from 'vitest';
import { Http2Field } from '../../src/codec/http2-field.ts';
import { requestOfFields } from '../../src/codec/http2-request.ts';
import { responseOfFields, trailersOfFields } from '../../src/codec/http2-response.ts';

/** Fields written as `name=value`, split at the first `=` behind the first character. */
function fields(...written: string[]): Http2Field[] {
  return written.map((entry) => {
    const at = entry.indexOf('=');
    return new Http2Field(entry.slice(0, at), entry.slice(at + 1));
  });
}

const get = [':method=GET', ':scheme=https', ':authority=a.example', ':path=/'];

describe('a request', () => {
  test('is read with its host, target and length', () => {
    const { head, fault, protocol } = requestOfFields(
      fields(
        ':method=POST',
        ':scheme=https',
        ':path=/x?y',
        ':authority=A.Example:8443',
        'content-length=5',
        'cookie=a',
      ),
      9,
      false,
    );
    expect(fault).toBeUndefined();
    expect(protocol).toBeUndefined();
    expect(head).toEqual({
      method: 'POST',
      target: '/x?y',
      version: '2',
      host: 'a.example',
      headers: [
        ['content-length', '5'],
        ['cookie', 'a'],
      ],
      framing: { kind: 'length', bytes: 5 },
      streamId: 9,
    });
  });

  test.each([
    ['Host in place of :authority', [':method=GET', ':scheme=https', ':path=/', 'host=a.example'], 'a.example'],
    ['both, the same in other letters', [...get, 'host=A.EXAMPLE'], 'a.example'],
    ['OPTIONS *', [':method=OPTIONS', ':scheme=https', ':path=*', ':authority=a.example'], 'a.example'],
    ['TE: trailers', [...get, 'te=trailers'], 'a.example'],
    ['CONNECT', [':method=CONNECT', ':authority=b.example:443'], 'b.example'],
    [
      'extended CONNECT',
      [':method=CONNECT', ':protocol=websocket', ':scheme=https', ':path=/c', ':authority=a.example'],
      'a.example',
    ],
  ])('passes with %s', (_name, written, host) => {
    const { head, fault } = requestOfFields(fields(...written), 1, true);
    expect(fault).toBeUndefined();
    expect(head.host).toBe(host);
    expect(head.framing).toEqual({ kind: 'none' });
  });

  test.each([
    ['no :method', get.slice(1)],
    ['no :scheme', get.filter((entry) => !entry.startsWith(':scheme'))],
    ['no :path', get.slice(0, 3)],
    ['neither :authority nor Host', get.filter((entry) => !entry.startsWith(':authority'))],
    ['an empty :path', [...get.slice(0, 3), ':path=']],
    ['a :path that is none', [...get.slice(0, 3), ':path=a']],
    ['a :path with a blank', [...get.slice(0, 3), ':path=/a b']],
    ['a :path with a fragment', [...get.slice(0, 3), ':path=/a#b']],
    ['* of another method', [...get.slice(0, 3), ':path=*']],
    ['a second :method', [':method=GET', ...get]],
    ['a second :path', [...get, ':path=/b']],
    ['a pseudo-header behind a header', [...get.slice(0, 3), 'a=b', ':path=/']],
    ['an unknown pseudo-header', [...get, ':unknown=1']],
    ['a :status', [...get, ':status=200']],
    ['an upper-case name', [...get, 'X-Name=1']],
    ['an empty name', [...get, '=1']],
    ['a name with a blank', [...get, 'a b=1']],
    ['a name with a colon', [...get, 'a:b=1']],
    ['a line feed in a value', [...get, 'a=1\nb: 2']],
    ['a carriage return in a value', [...get, 'a=1\r']],
    ['a NUL in a value', [...get, 'a=\0']],
    ['a blank before a value', [...get, 'a= 1']],
    ['a blank behind a value', [...get, 'a=1\t']],
    ['a line feed in :path', [...get.slice(0, 3), ':path=/\n']],
    ['Connection', [...get, 'connection=close']],
    ['Keep-Alive', [...get, 'keep-alive=1']],
    ['Proxy-Connection', [...get, 'proxy-connection=close']],
    ['Transfer-Encoding', [...get, 'transfer-encoding=chunked']],
    ['Upgrade', [...get, 'upgrade=h2c']],
    ['TE other than trailers', [...get, 'te=gzip, trailers']],
    ['a framing field spelt with an underscore', [...get, 'content_length=1']],
    ['two Hosts', [...get, 'host=a.example', 'host=a.example']],
    ['a Host other than :authority', [...get, 'host=b.example']],
    ['an :authority with userinfo', [':method=GET', ':scheme=https', ':authority=u@a.example', ':path=/']],
    ['an :authority that is a list', [':method=GET', ':scheme=https', ':authority=a.example,b', ':path=/']],
    ['an :authority with an empty port', [':method=GET', ':scheme=https', ':authority=a.example:', ':path=/']],
    ['an empty :authority', [':method=GET', ':scheme=https', ':authority=', ':path=/']],
    ['a scheme of no web request', [':method=GET', ':scheme=ftp', ':authority=a.example', ':path=/']],
    ['a method that is no token', [':method=G T', ':scheme=https', ':authority=a.example', ':path=/']],
    ['two lengths', [...get, 'content-length=0', 'content-length=0']],
    ['a length with a sign', [...get, 'content-length=+0']],
    ['a length that is a list', [...get, 'content-length=0, 0']],
    ['a length without a body', [...get, 'content-length=5']],
    ['CONNECT with :path', [':method=CONNECT', ':authority=a.example:443', ':path=/']],
    [':protocol without CONNECT', [...get, ':protocol=websocket']],
  ])('is refused with %s', (_name, written) => {
    expect(requestOfFields(fields(...written), 1, true).fault).toBeDefined();
  });
});

describe('a response', () => {
  test.each([
    ['with a body of known length', [':status=200', 'content-length=5'], 'GET', false, { kind: 'length', bytes: 5 }],
    ['with a body of unknown length', [':status=200'], 'GET', false, { kind: 'until-close' }],
    ['without body', [':status=200'], 'GET', true, { kind: 'none' }],
    ['to HEAD', [':status=200', 'content-length=5'], 'HEAD', true, { kind: 'none' }],
    ['304', [':status=304', 'content-length=5'], 'GET', true, { kind: 'none' }],
    ['103', [':status=103', 'link=</a>'], 'GET', false, { kind: 'none' }],
  ])('%s is read', (_name, written, method, endsStream, framing) => {
    const { head, fault } = responseOfFields(fields(...written), method, endsStream);
    expect(fault).toBeUndefined();
    expect(head.framing).toEqual(framing);
  });

  test.each([
    ['no :status', ['a=b'], false],
    ['two', [':status=200', ':status=200'], false],
    ['one of two digits', [':status=20'], false],
    ['one below 100', [':status=099'], false],
    ['101', [':status=101'], false],
    ['an interim one that ends the stream', [':status=100'], true],
    ['one behind a header', ['a=b', ':status=200'], false],
    ['a :path', [':status=200', ':path=/'], false],
    ['Connection', [':status=200', 'connection=close'], false],
    ['an upper-case name', [':status=200', 'A=b'], false],
    ['two lengths', [':status=200', 'content-length=1', 'content-length=1'], false],
    ['a length without a body', [':status=200', 'content-length=1'], true],
  ])('is refused with %s', (_name, written, endsStream) => {
    expect(responseOfFields(fields(...written), 'GET', endsStream).fault).toBeDefined();
  });
});

test('trailers hold no pseudo-header', () => {
  expect(trailersOfFields(fields('grpc-status=0'))).toEqual({ headers: [['grpc-status', '0']], fault: undefined });
  expect(trailersOfFields(fields(':status=200')).fault).toBeDefined();
  expect(trailersOfFields(fields('Grpc-Status=0')).fault).toBeDefined();
});

test.each(['host=b.example', 'content-length=5', 'expect=100-continue', 'te=trailers', 'trailer=x'])(
  'trailers hold nothing that frames or routes a message: %s',
  (field) => {
    expect(trailersOfFields(fields('x-sum=1', field)).fault).toEqual({
      fault: 'malformed',
      detail: 'a trailer that frames or routes the message',
    });
  },
);

test('trailers are told as they came', () => {
  expect(trailersOfFields(fields('x-sum=1')).fault).toBeUndefined();
});
