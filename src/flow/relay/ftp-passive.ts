import { hostPortText, parseExtendedPassive, parseHostPort } from '../../codec/ftp-address.ts';
import type { FtpReply } from '../../codec/ftp-reply.ts';
import type { Address } from '../../core/endpoint.ts';

/** Where the origin listens. */
export type PassiveOffer =
  | { readonly kind: 'port'; readonly port: number }
  | { readonly kind: 'foreign'; readonly detail: string }
  | { readonly kind: 'malformed' };

/**
 * Reads 227 or 229. Anything but a high port of the origin itself may lead the gateway to somebody else. Where the origin's
 * address is not known, it is connected to by its name, and what it says of its address means nothing.
 */
export function passiveOfferOf(
  { code, lines }: FtpReply,
  originIp: string | undefined,
  foreign: 'refuse' | 'ignore',
): PassiveOffer {
  const text = lines.at(-1) ?? '';
  const port = code === 229 ? parseExtendedPassive(text) : undefined;
  const extended = port === undefined ? undefined : { ip: originIp ?? 'its own', port };
  const address = code === 229 ? extended : parseHostPort(text);
  if (address === undefined) return { kind: 'malformed' };
  const isOwn = originIp === undefined || code === 229 || address.ip === originIp || address.ip === '0.0.0.0';
  const isForeign = !isOwn && foreign === 'refuse';
  if (!isForeign && address.port >= 1_024) return { kind: 'port', port: address.port };
  return { kind: 'foreign', detail: `${code} names ${address.ip} port ${address.port}` };
}

/** The same for a listener of the gateway; undefined where a 227 cannot name it. */
export function passiveReply(code: number, address: Address): string | undefined {
  if (code === 229) return `229 Entering Extended Passive Mode (|||${address.port}|)`;
  const plain = hostPortText(address);
  return plain === undefined ? undefined : `227 Entering Passive Mode (${plain}).`;
}
