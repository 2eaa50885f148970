import { describe, expect, it } from 'vitest';
import { parseClientHello, validServerName } from '../../src/codec/client-hello.ts';
import { clientHello, inRecords, serverNames } from './hello-builder.ts';

/** What becomes of a server_name on its way from the wire. */
function nameFromWire(...names: readonly (string | Buffer)[]): string | undefined | 'malformed' {
  const parse = parseClientHello(inRecords(clientHello({ extensions: [serverNames(...names)] })));
  if (parse.kind !== 'complete') return 'malformed';
  return validServerName(parse.hello.serverName ?? '');
}

const label63 = 'a'.repeat(63);
const name253 = `${label63}.${label63}.${label63}.${'b'.repeat(61)}`;

const hostile: readonly (readonly [string, string | Buffer])[] = [
  ['NUL at the end', 'shop.example\0'],
  ['NUL within', 'shop.example\0.evil.example'],
  ['NUL alone', '\0'],
  ['parent folders', '../../etc/passwd'],
  ['two dots', '..'],
  ['one dot', '.'],
  ['an empty label', 'shop..example'],
  ['a leading dot', '.shop.example'],
  ['two trailing dots', 'shop.example..'],
  ['a slash', 'shop.example/path'],
  ['a backslash', 'shop.example\\share'],
  ['a port', 'shop.example:443'],
  ['user information', 'user@shop.example'],
  ['a query', 'shop.example?x'],
  ['a fragment', 'shop.example#x'],
  ['a percent escape', 'shop%2eexample'],
  ['a space', 'shop .example'],
  ['a leading space', ' shop.example'],
  ['a tab', 'shop\t.example'],
  ['CR LF', 'shop.example\r\nHost: evil.example'],
  ['a line feed at the end', 'shop.example\n'],
  ['DEL', 'shop\x7f.example'],
  ['a command', ';$(reboot).example'],
  ['a back-tick', '`id`.example'],
  ['quotes', '"shop".example'],
  ['markup', '<script>.example'],
  ['a comma', 'a.example,b.example'],
  ['a star', '*.shop.example'],
  ['a star alone', '*'],
  ['255 bytes', 'a'.repeat(255)],
  ['254 bytes in labels', `${label63}.${label63}.${label63}.${'b'.repeat(62)}`],
  ['a label of 64 bytes', `${'a'.repeat(64)}.example`],
  ['65 000 bytes', 'a.'.repeat(32_000)],
  ['an ideographic full stop', Buffer.from('shop。example', 'utf8')],
  ['a full-width full stop', Buffer.from('shop．example', 'utf8')],
  ['a half-width ideographic full stop', Buffer.from('shop｡example', 'utf8')],
  ['a U-label', Buffer.from('bücher.example', 'utf8')],
  ['a Latin-1 byte', Buffer.from('b\xfccher.example', 'latin1')],
  ['a soft hyphen', Buffer.from('sh­op.example', 'utf8')],
  ['a right-to-left override', Buffer.from('‮elpmaxe.pohs', 'utf8')],
  ['a leading hyphen', '-shop.example'],
  ['a trailing hyphen', 'shop-.example'],
  ['IPv4', '192.0.2.1'],
  ['IPv4 with a dot', '192.0.2.1.'],
  ['short IPv4', '127.1'],
  ['hexadecimal IPv4', '0x7f000001'],
  ['decimal IPv4', '2130706433'],
  ['a hexadecimal last label', 'shop.0x1f'],
  ['IPv6', '2001:db8::1'],
  ['IPv6 in brackets', '[2001:db8::1]'],
];

describe('a server name from the wire', () => {
  it.each(hostile)('with %s is refused', (_, name) => {
    expect(nameFromWire(name)).toBeUndefined();
  });

  it('is malformed when there are two, or none', () => {
    expect(nameFromWire('a.example', 'b.example')).toBe('malformed');
    expect(nameFromWire('')).toBe('malformed');
    expect(nameFromWire()).toBe('malformed');
  });

  it.each([
    ['shop.example', 'shop.example'],
    ['SHOP.Example', 'shop.example'],
    ['shop.example.', 'shop.example'],
    ['localhost', 'localhost'],
    ['_dmarc.my_host.example', '_dmarc.my_host.example'],
    ['r3---sn-4g5e6nsz.googlevideo.example', 'r3---sn-4g5e6nsz.googlevideo.example'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['1.2.3.in-addr.arpa', '1.2.3.in-addr.arpa'],
    ['4chan.example', '4chan.example'],
    [name253, name253],
    [`${name253}.`, name253],
  ])('%s is taken as %s', (name, canonical) => {
    expect(nameFromWire(name)).toBe(canonical);
  });
});
