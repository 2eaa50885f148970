import { describe, expect, it } from 'vitest';
import { allow, type Verdict } from '../../../src/core/verdict.ts';
import { SmtpChunks } from '../../../src/flow/relay/smtp-chunks.ts';
import { HeldMail } from '../../../src/flow/relay/smtp-held-mail.ts';
import { SmtpTransfer } from '../../../src/flow/relay/smtp-transfer.ts';
import { holdShare } from '../../support/hold-share.ts';
import { RecordingWire } from './recording.ts';

/** A mail of which rules say this as soon as its envelope is known. */
function transfer(verdict: Verdict): SmtpTransfer {
  const hold = { budget: holdShare(1_000), holdBytes: 1_000, spool: undefined };
  const begun = new SmtpTransfer(
    { envelope: () => verdict, content: () => verdict, end: () => verdict, finish: () => {} },
    {
      queue: new HeldMail(hold, () => {}),
      chunks: new SmtpChunks(new RecordingWire(), () => {}),
      isJudged: true,
    },
  );
  begun.envelope({
    protocol: 'smtp',
    helo: 'me',
    authMechanism: undefined,
    authIdentity: undefined,
    from: 'a@x',
    to: ['b@y'],
    accepted: 1,
    refused: 0,
    removedOffers: [],
  });
  return begun;
}

describe('lines of BDAT', () => {
  const line = Buffer.from('BDAT 1\r\n');

  it('wait with a mail that is allowed so far, and not with one that is dropped', () => {
    const rule = { id: 'r', title: 'R', rev: 1 };
    for (const [verdict, waiting] of [
      [allow, 3],
      [{ kind: 'block', rule }, 0],
    ] as const) {
      const mail = transfer(verdict);
      for (let count = 0; count < 3; count += 1) mail.chunk(line, { bytes: 1, isLast: false });
      expect(mail.chunks.waiting).toBe(waiting);
    }
  });

  it('that wait do not hold on to what was received with them', () => {
    const wire = new RecordingWire();
    const chunks = new SmtpChunks(wire, () => {});
    const received = Buffer.from('BDAT 4 LAST\r\nmail');
    chunks.add(received.subarray(0, 13), 4, true);
    received.fill(0);
    chunks.send(Buffer.from('mail'));
    expect(wire.to('origin')).toBe('BDAT 4 LAST\r\nmail');
  });
});
