import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authIdentity } from '../../src/codec/smtp-auth.ts';
import { looksLikeHttp, parseChunk, parseCommand, parsePath } from '../../src/codec/smtp-command.ts';
import { DataScanner } from '../../src/codec/smtp-data.ts';
import { filterOffer } from '../../src/codec/smtp-offer.ts';
import { ReplyReader } from '../../src/codec/smtp-reply.ts';
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
