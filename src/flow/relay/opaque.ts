import type { Relay, Wire } from '../../core/relay.ts';
import { otherSide } from '../../core/side.ts';

export interface OpaqueOptions {
  readonly wire: Wire;
}

/** Passes both directions on unread, each with its own end. */
export function createOpaqueRelay({ wire }: OpaqueOptions): Relay {
  const ended = { client: false, origin: false };
  let isOver = false;
  return {
    receive(from, bytes) {
      if (!isOver && !ended[from]) wire.send(otherSide(from), bytes);
    },
    end(from, clean) {
      if (isOver || ended[from]) return;
      ended[from] = true;
      if (!clean) {
        // Where nothing is known of the protocol, only a visible break keeps a cut stream from passing for a whole one.
        isOver = true;
        wire.abort(from === 'client' ? 'CLIENT_GONE' : 'ORIGIN_GONE', 'the stream was cut');
        return;
      }
      if (ended[otherSide(from)]) {
        isOver = true;
        wire.close();
      } else wire.end(otherSide(from));
    },
    cut() {
      isOver = true;
    },
  };
}
