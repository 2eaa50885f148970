import { ByteCursor } from './byte-cursor.ts';

/** What a ClientHello offers to resume. */
export interface ResumptionOffer {
  /** Hexadecimal; clients of TLS 1.3 send one that means nothing (RFC 8446 section 4.1.2). */
  readonly sessionId: string;
  /** A ticket of TLS 1.2 (RFC 5077). */
  readonly hasTicket: boolean;
  /** A session of TLS 1.3. */
  readonly hasPreSharedKey: boolean;
}

/** Reads the offer from the body of a ClientHello that was parsed before. */
export function resumptionOfferOf(body: Buffer): ResumptionOffer {
  const cursor = new ByteCursor(body);
  cursor.skip(versionAndRandomBytes);
  const sessionId = cursor.take(cursor.u8()).toString('hex');
  cursor.skip(cursor.u16());
  cursor.skip(cursor.u8());
  let hasTicket = false;
  let hasPreSharedKey = false;
  if (cursor.left > 0) cursor.skip(extensionsLengthBytes);
  while (cursor.left > 0) {
    const type = cursor.u16();
    const length = cursor.u16();
    // An empty one asks for a ticket.
    if (type === sessionTicket && length > 0) hasTicket = true;
    if (type === preSharedKey) hasPreSharedKey = true;
    cursor.skip(length);
  }
  return { sessionId, hasTicket, hasPreSharedKey };
}

const versionAndRandomBytes = 34;
const extensionsLengthBytes = 2;
const sessionTicket = 35;
const preSharedKey = 41;
