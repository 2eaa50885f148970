import { changedMailHead } from '../../codec/mail-head-changes.ts';
import { asFailure, FlowFailure } from '../../core/failures.ts';
import type { Wire } from '../../core/relay.ts';
import type { SmtpTransfer } from './smtp-transfer.ts';

/**
 * Sends what waits of a mail to the origin, its head changed where that was asked for. What is on disk is read piece by
 * piece as the origin takes it; then `done` is told, and `later` returned. Otherwise undefined, or what is wrong.
 */
export function releaseMail(
  transfer: SmtpTransfer,
  wire: Wire,
  done: (failure: FlowFailure | undefined) => void,
): FlowFailure | 'later' | undefined {
  const { queue } = transfer;
  if (!queue.isOnDisk) {
    const pieces = queue.take(transfer.keepBytes);
    return transfer.changes === undefined
      ? sendAll(transfer, pieces)
      : sendFirst(transfer, Buffer.concat(pieces), true);
  }
  let isFirst = true;
  const goOn = (): void => {
    queue
      .read()
      .then((bytes) => {
        const rest = isFirst && !queue.isOnDisk ? queue.take(transfer.keepBytes) : [];
        const failure = isFirst
          ? sendFirst(transfer, Buffer.concat([bytes, ...rest]), !queue.isOnDisk)
          : sendAll(transfer, [bytes]);
        isFirst = false;
        if (failure !== undefined || !queue.isOnDisk) done(failure);
        else if (wire.isFull?.('origin') === true) transfer.onDrained = goOn;
        else goOn();
      })
      .catch((error: unknown) => done(asFailure(error)));
  };
  goOn();
  return 'later';
}

function sendAll({ chunks }: SmtpTransfer, pieces: readonly Buffer[]): undefined {
  for (const piece of pieces) chunks.send(piece);
}

function sendFirst(transfer: SmtpTransfer, bytes: Buffer, isAll: boolean): FlowFailure | undefined {
  const { changes, chunks } = transfer;
  if (changes === undefined) return sendAll(transfer, [bytes]);
  const changed = changedMailHead(
    bytes,
    { isAll: isAll && transfer.hasEnded, isStuffed: !transfer.isChunked },
    changes,
  );
  if (changed === undefined) return new FlowFailure('CLIENT_SMTP_TOO_LARGE', 'a head that cannot be changed');
  chunks.replaceHead(changed.length, changed.head.length);
  return sendAll(transfer, [changed.head, bytes.subarray(changed.length)]);
}
