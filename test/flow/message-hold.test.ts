import { expect, test } from 'vitest';
import { limits } from '../../src/core/limits.ts';
import { MessageHold } from '../../src/flow/message-hold.ts';

test('what waits in small pieces is counted with what each of them takes', () => {
  const hold = new MessageHold({ startBytes: limits.heldBytes, bodyBytes: limits.heldBytes }, '192.0.2.77');
  const most = (limits.heldBytes * limits.clientShare) / (1 + limits.heldPieceBytes);
  let pieces = 0;
  let answer: ReturnType<MessageHold['waits']> = true;
  for (; answer === true && pieces <= most + 1; pieces++) answer = hold.waits('body', 1);
  expect({ answer, pieces }).toEqual({ answer: 'share', pieces: Math.floor(most) + 1 });
  hold.release();
  const other = new MessageHold({ startBytes: 1_000, bodyBytes: 1_000 }, '192.0.2.77');
  expect(other.waits('body', 1)).toBe(true);
  other.release();
});
