import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MimeReader } from '../../src/codec/mime-reader.ts';
import { authIdentity } from '../../src/codec/smtp-auth.ts';
import { looksLikeHttp, parseChunk, parseCommand, parsePath } from '../../src/codec/smtp-command.ts';
import { DataScanner } from '../../src/codec/smtp-data.ts';
import { filterOffer } from '../../src/codec/smtp-offer.ts';
import { ReplyReader } from '../../src/codec/smtp-reply.ts';
import { transferDecoder } from '../../src/codec/transfer-encoding.ts';
import { mutated } from '../support/mutated.ts';

const runs = { numRuns: 2_000 };
const pieces = (bytes: Buffer, cut: number): readonly Buffer[] => [bytes.subarray(0, cut), bytes.subarray(cut)];

describe('a mail session near to a right one', () => {
  it('has commands that are read or refused, never with a line end inside', () => {
    const lines = mutated(
      'MAIL FROM:<a@b.example> SIZE=10\r\n',
      'BDAT 10 LAST\r\n',
      'GET / HTTP/1.1\r\n',
      'EHLO a\r\n',
    );
    fc.assert(
      fc.property(lines, (line) => {
        looksLikeHttp(line);
        const command = parseCommand(line);
        if (command === undefined) return;
        expect(`${command.verb} ${command.argument}`).not.toMatch(/[\r\n\0]/);
        parsePath(command.argument, 'FROM');
        const chunk = parseChunk(command.argument);
        expect(Number.isSafeInteger(chunk?.bytes ?? 0)).toBe(true);
      }),
      runs,
    );
  });

  it('has identities in AUTH that are read or left out', () => {
    const mechanisms = fc.constantFrom('PLAIN', 'LOGIN', 'CRAM-MD5', 'XOAUTH2', 'NTLM');
    fc.assert(
      fc.property(mechanisms, fc.nat(2), mutated('AGEAYg==', 'dXNlcj1hAWI='), (mechanism, step, line) => {
        authIdentity(mechanism, step, line.toString('latin1'));
      }),
      runs,
    );
  });

  it('has replies that are the same in whatever pieces they come, and offers that keep their form', () => {
    const replies = mutated(
      '250-a.example\r\n250-STARTTLS\r\n250-AUTH PLAIN SCRAM-SHA-1-PLUS\r\n250 XEXCH50\r\n',
      '354 go\r\n',
    );
    const read = (...parts: readonly Buffer[]): unknown => {
      const reader = new ReplyReader();
      const found = [];
      for (const part of parts) {
        reader.push(part);
        for (let reply = reader.next(); reply !== undefined; reply = reader.next()) found.push(reply);
      }
      for (const reply of found) {
        const again = new ReplyReader();
        again.push(filterOffer(reply, { starttls: true, xclient: false }).raw);
        expect(again.next()?.code).toBe(reply.code);
      }
      return [found, reader.fault];
    };
    fc.assert(
      fc.property(replies, fc.nat(60), (bytes, cut) => {
        expect(read(...pieces(bytes, cut))).toEqual(read(bytes));
      }),
      runs,
    );
  });

  it('has parts of the same content in whatever pieces it comes', () => {
    const mail =
      'Subject: =?utf-8?B?aGVsbG8=?=\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n' +
      'Content-Disposition: attachment; filename="a.txt"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b\r\n' +
      'Content-Type: text/plain\r\n\r\ntext\r\n--b--\r\n';
    const read = (...parts: readonly Buffer[]): unknown => {
      const found: string[] = [];
      const content: Buffer[] = [];
      const reader = new MimeReader({
        head: (head) => found.push(`head ${head.type} ${head.headers.length}`),
        part: (head) => found.push(`part ${head.type} ${head.fileNames.join()} ${head.transferEncoding}`),
        bytes: (chunk) => content.push(Buffer.from(chunk)),
        partEnd: () => found.push(`end ${Buffer.concat(content.splice(0)).toString('hex')}`),
      });
      for (const part of parts) reader.push(part);
      reader.end();
      return [found, reader.problem];
    };
    fc.assert(
      fc.property(mutated(mail), fc.nat(200), (bytes, cut) => {
        expect(read(...pieces(bytes, cut))).toEqual(read(bytes));
      }),
      runs,
    );
  });

  it('has encodings that decode the same in whatever pieces they come', () => {
    const encoded = mutated('aGVs\r\nbG8=aGk=', 'a=20b=\r\nc=ZZ=3D\r\n');
    fc.assert(
      fc.property(fc.constantFrom('base64', 'quoted-printable'), encoded, fc.nat(16), (encoding, bytes, cut) => {
        const decode = (...parts: readonly Buffer[]): string => {
          const decoder = transferDecoder(encoding);
          const decoded = parts.map((part) => decoder?.push(part) ?? part);
          return Buffer.concat([...decoded, decoder?.end() ?? Buffer.alloc(0)]).toString('hex');
        };
        expect(decode(...pieces(bytes, cut))).toBe(decode(bytes));
      }),
      runs,
    );
  });

  it('ends its data at the same byte in whatever pieces it comes, and passes nothing on behind a look-alike', () => {
    const data = mutated('a\r\n..b\r\n.\r\nQUIT\r\n', 'a\n.\nMAIL', 'a\r\n.\r\r\nMAIL', 'a\r\n\0.\r\n');
    const read = (...parts: readonly Buffer[]): unknown => {
      const scanner = new DataScanner();
      const content: Buffer[] = [];
      const wire: Buffer[] = [];
      for (const [index, part] of parts.entries()) {
        const step = scanner.push(part);
        content.push(...step.content);
        wire.push(step.wire);
        if (step.lookAlike !== undefined) return ['look-alike', Buffer.concat(wire).toString('hex').slice(0, 0)];
        const rest = step.rest && Buffer.concat([step.rest, ...parts.slice(index + 1)]);
        if (rest !== undefined) return [Buffer.concat(content).toString('hex'), rest.toString('hex')];
      }
      return 'unfinished';
    };
    fc.assert(
      fc.property(data, fc.nat(25), (bytes, cut) => {
        expect(read(...pieces(bytes, cut))).toEqual(read(bytes));
      }),
      runs,
    );
  });
});
