import { connect, createServer, type Socket } from 'node:net';
import { farmAddress } from './farm.ts';
import { type FarmOrigin, openOrigin } from './farm-origin.ts';

/** What somebody on the way does to a TLS handshake. */
export interface Tamper {
  /** Changes the ClientHello record in place. */
  readonly hello?: (record: Buffer) => void;
  /**
   * Changes a record of the origin in place; true when it has, and the rest passes as it is. `ciphered` after the
   * origin's ChangeCipherSpec.
   */
  readonly answer?: (record: Buffer, ciphered: boolean) => boolean;
}

/** Stands between the gateway and an origin, and changes what passes. The bytes that count are those the origin deciphers. */
export function openTampered(origin: FarmOrigin, tamper: Tamper): Promise<FarmOrigin> {
  const server = createServer((client) => {
    const behind = connect(origin.port, farmAddress);
    behind.on('error', () => client.destroy());
    client.on('error', () => behind.destroy());
    pass(client, behind, once(tamper.hello));
    pass(behind, client, tamper.answer === undefined ? undefined : untilDone(tamper.answer));
  });
  return openOrigin(server, origin.bytes).then((front) => ({
    ...front,
    async [Symbol.asyncDispose]() {
      await front[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  }));
}

type Change = (record: Buffer) => void;

function once(change: Change | undefined): Change | undefined {
  let done = false;
  return (record) => {
    if (!done) change?.(record);
    done = true;
  };
}

function untilDone(change: NonNullable<Tamper['answer']>): Change {
  let done = false;
  let ciphered = false;
  return (record) => {
    if (!done) done = change(record, ciphered);
    if (record[0] === 20) ciphered = true;
  };
}

/** Copies whole TLS records (RFC 8446 section 5.1) after they have been changed. */
function pass(from: Socket, to: Socket, change: Change | undefined): void {
  let rest: Buffer = Buffer.alloc(0);
  from.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt16BE(3)) {
      const record = rest.subarray(0, 5 + rest.readUInt16BE(3));
      rest = rest.subarray(record.length);
      change?.(record);
      to.write(Buffer.from(record));
    }
  });
  from.on('end', () => to.end()).on('close', () => to.destroySoon());
}

/** Flips a bit of an octet; counted from the end where the offset is negative. */
export function flip(record: Buffer, offset: number): void {
  const at = offset < 0 ? record.length + offset : offset;
  record[at] = (record[at] ?? 0) ^ 1;
}

/** Flips a bit in the first handshake message of a type that comes in the clear (RFC 5246 section 7.4). */
export function flipMessage(type: number, offset: number): Tamper {
  return {
    answer: (record, ciphered) => {
      if (ciphered || record[0] !== 22 || record[5] !== type) return false;
      flip(record, offset);
      return true;
    },
  };
}
