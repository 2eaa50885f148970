import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRequestHead, parseResponseHead } from '../../src/codec/http1-head.ts';
import { SectionMemo } from '../../src/codec/http1-section-memo.ts';

const sections = [
  'Host: a.example\r\n\r\n',
  'Host: a.example\r\nContent-Length: 3\r\n\r\n',
  'Host: a.example\r\nContent-Length: 4\r\n\r\n',
  'Host: a.example\r\nConnection: close\r\n\r\n',
  'Host: a.example\r\nHost: a.example\r\n\r\n',
  'Host: a.example\r\nTransfer-Encoding: chunked\r\n\r\n',
  'Host: a.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n',
  'Host: a.example\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n',
  'Host: a.example\r\nX: a\n\r\n',
  `Host: a.example\r\nX: ${'y'.repeat(1_100)}\r\n\r\n`,
  'Host: a.exam',
  '\r\n',
];
const behind = ['', 'abc', 'GET / HTTP/1.1\r\n'];
const message = fc.record({
  line: fc.constantFrom(0, 1, 2, 3),
  section: fc.constantFrom(...sections),
  behind: fc.constantFrom(...behind),
});
const requestLines = ['GET / HTTP/1.1\r\n', 'POST /x HTTP/1.0\r\n', 'CONNECT a.example:443 HTTP/1.1\r\n', 'GET /\r\n'];
const statusLines = ['HTTP/1.1 200 OK\r\n', 'HTTP/1.0 204 No\r\n', 'HTTP/1.1 101 Up\r\n', 'HTTP/2 200\r\n'];

describe('the memo of a field section', () => {
  it('changes no reading of a request, whatever came before', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 40 }), (messages) => {
        const memo = new SectionMemo();
        for (const { line, section, behind: rest } of messages) {
          const bytes = Buffer.from(`${requestLines[line]}${section}${rest}`, 'latin1');
          expect(parseRequestHead(bytes, 0, bytes.length, memo)).toEqual(parseRequestHead(bytes, 0, bytes.length));
        }
      }),
    );
  });

  it('changes no reading of a response, whatever came before', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 40 }),
        fc.constantFrom('GET', 'HEAD', 'CONNECT'),
        (messages, method) => {
          const memo = new SectionMemo();
          for (const { line, section, behind: rest } of messages) {
            const bytes = Buffer.from(`${statusLines[line]}${section}${rest}`, 'latin1');
            const plain = parseResponseHead(bytes, 0, bytes.length, method);
            expect(parseResponseHead(bytes, 0, bytes.length, method, memo)).toEqual(plain);
          }
        },
      ),
    );
  });

  it('gives out the same headers for the same section, also under another first line', () => {
    const memo = new SectionMemo();
    const read = (target: string, section: string) => {
      const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\n${section}`);
      const parsed = parseRequestHead(bytes, 0, bytes.length, memo);
      return parsed.kind === 'parsed' ? parsed.head : undefined;
    };
    const first = read('/a', 'Host: a.example\r\nX: 1\r\n\r\n');
    const again = read('/b', 'Host: a.example\r\nX: 1\r\n\r\n');
    expect(again?.target).toBe('/b');
    expect(again?.headers).toBe(first?.headers);
    expect(read('/b', 'Host: a.example\r\nX: 2\r\n\r\n')?.headers).toEqual([
      ['Host', 'a.example'],
      ['X', '2'],
    ]);
  });
});
