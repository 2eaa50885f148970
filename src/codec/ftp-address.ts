import type { Address } from '../core/endpoint.ts';
import { canonicalIp } from './ip-address.ts';

/** Reads the argument of PORT, or what a 227 names (RFC 959 section 4.1.2): `h1,h2,h3,h4,p1,p2`. */
export function parseHostPort(text: string): Address | undefined {
  const numbers = hostPort.exec(text)?.slice(1).map(Number);
  if (numbers === undefined || numbers.some((number) => number > 255)) return undefined;
  const [high = 0, low = 0] = numbers.slice(4);
  return { ip: numbers.slice(0, 4).join('.'), port: high * 256 + low };
}

const number = '(\\d{1,3})';
const hostPort = new RegExp(`(?:^|[^\\d,])${Array(6).fill(number).join(',')}(?![\\d,])`);

/** Reads the argument of EPRT (RFC 2428 section 2): `|1|192.0.2.1|4711|`. */
export function parseExtendedPort(text: string): Address | undefined {
  const [, , family, host = '', digits] = extendedPort.exec(text) ?? [];
  const ip = canonicalIp(host);
  const port = Number(digits);
  if (ip === undefined || port > 65_535 || ip.includes(':') !== (family === '2')) return undefined;
  return { ip, port };
}

/** The port of a 229 (RFC 2428 section 3): `(|||4711|)`. */
export function parseExtendedPassive(text: string): number | undefined {
  const [, , digits] = extendedPassive.exec(text) ?? [];
  const port = Number(digits);
  return digits === undefined || port > 65_535 ? undefined : port;
}

/** The delimiter is any printable character; all in use are none of an address. */
const delimiter = '([!-/:-@[-`{-~])';
const extendedPort = new RegExp(`^${delimiter}([12])\\1([0-9A-Fa-f.:]{2,45})\\1(\\d{1,5})\\1$`);
const extendedPassive = new RegExp(`\\(${delimiter}\\1\\1(\\d{1,5})\\1\\)`);

/** `h1,h2,h3,h4,p1,p2`; undefined for IPv6, which it cannot name. */
export function hostPortText({ ip, port }: Address): string | undefined {
  return ip.includes(':') ? undefined : `${ip.replaceAll('.', ',')},${port >> 8},${port & 0xff}`;
}

/** The argument of EPRT. */
export function extendedPortText({ ip, port }: Address): string {
  return `|${ip.includes(':') ? 2 : 1}|${ip}|${port}|`;
}
