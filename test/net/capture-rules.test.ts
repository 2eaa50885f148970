import { describe, expect, it } from 'vitest';
import { type CapturePlan, captureScript, removalScript, routedFamilies } from '../../src/net/capture-rules.ts';

const plan: CapturePlan = {
  capture: 'redirect',
  ipv4: { ip: '0.0.0.0', port: 8443 },
  ipv6: { ip: '::', port: 8446 },
  ports: [80, 443],
  ftpData: false,
  forwarded: { interfaces: [], ipv4Sources: [], ipv6Sources: [] },
  local: undefined,
  refuseQuic: true,
  quicAllowed: { ipv4Sources: [], ipv6Sources: [] },
};
/** The rules of a script, without the lines that frame them. */
const rulesOf = (changes: Partial<CapturePlan>): readonly string[] =>
  captureScript({ ...plan, ...changes })
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .map((line) => line.trim());

describe('the script of a capture', () => {
  it('redirects both families, each to its listener, and refuses QUIC', () => {
    expect(captureScript(plan)).toBe(`table inet daylight
delete table inet daylight
table inet daylight {
  chain capture_forwarded {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local accept
    meta nfproto ipv4 tcp dport { 80, 443 } redirect to :8443
    meta nfproto ipv6 tcp dport { 80, 443 } redirect to :8446
  }

  chain quic_forwarded {
    type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local accept
    meta nfproto ipv4 udp dport 443 counter redirect to :8443
    meta nfproto ipv6 udp dport 443 counter redirect to :8446
  }

  chain refuse_quic_forwarded {
    type filter hook forward priority filter; policy accept;
    meta nfproto ipv4 udp dport 443 counter reject
    meta nfproto ipv6 udp dport 443 counter reject
  }
}
`);
  });

  it('redirects data connections of FTP to the port that they name, where a relay waits for them', () => {
    expect(rulesOf({ ports: [21], ftpData: true, refuseQuic: false })).toEqual([
      'type nat hook prerouting priority dstnat; policy accept;',
      'fib daddr type local accept',
      'meta nfproto ipv4 tcp dport 1024-65535 socket wildcard 0 redirect',
      'meta nfproto ipv6 tcp dport 1024-65535 socket wildcard 0 redirect',
      'meta nfproto ipv4 tcp dport { 21 } redirect to :8443',
      'meta nfproto ipv6 tcp dport { 21 } redirect to :8446',
    ]);
  });

  it('delivers packets of its own sockets before anything else with TPROXY', () => {
    expect(rulesOf({ capture: 'tproxy', ipv6: { ip: 'fd00::1', port: 9443 }, refuseQuic: false })).toEqual([
      'type filter hook prerouting priority mangle; policy accept;',
      'meta l4proto tcp socket transparent 1 meta mark set meta mark or 1 accept',
      'fib daddr type local accept',
      'meta nfproto ipv4 tcp dport { 80, 443 } meta mark set meta mark or 1 tproxy ip to :8443 accept',
      'meta nfproto ipv6 tcp dport { 80, 443 } meta mark set meta mark or 1 tproxy ip6 to [fd00::1]:9443 accept',
    ]);
  });

  it('names interfaces and clients; a family that no client is named of is left alone', () => {
    const forwarded = { interfaces: ['lan0', 'br-*'], ipv4Sources: ['10.0.0.0/8', '192.0.2.1'], ipv6Sources: [] };
    expect(rulesOf({ forwarded, ports: [25] })).toEqual([
      'type nat hook prerouting priority dstnat; policy accept;',
      'fib daddr type local accept',
      'iifname { "lan0", "br-*" } ip saddr { 10.0.0.0/8, 192.0.2.1 } tcp dport { 25 } redirect to :8443',
    ]);
    expect(routedFamilies({ ...plan, capture: 'tproxy', forwarded })).toEqual([4]);
  });

  it('leaves the gateway itself alone among local programs, by user or mark', () => {
    const local = { exceptUsers: ['daylight', '1000'], exceptMarks: [2] };
    expect(rulesOf({ forwarded: undefined, local, ipv6: undefined })).toEqual([
      'type nat hook output priority -100; policy accept;',
      'fib daddr type local accept',
      'meta skuid "daylight" accept',
      'meta skuid 1000 accept',
      'meta mark & 2 == 2 accept',
      'meta nfproto ipv4 tcp dport { 80, 443 } redirect to :8443',
      'type nat hook output priority -100; policy accept;',
      'fib daddr type local accept',
      'meta skuid "daylight" accept',
      'meta skuid 1000 accept',
      'meta mark & 2 == 2 accept',
      'meta nfproto ipv4 udp dport 443 counter redirect to :8443',
      'type filter hook output priority filter; policy accept;',
      'fib daddr type local accept',
      'meta skuid "daylight" accept',
      'meta skuid 1000 accept',
      'meta mark & 2 == 2 accept',
      'meta nfproto ipv4 udp dport 443 counter reject',
    ]);
  });

  it('lets the QUIC of some clients pass', () => {
    const quicAllowed = { ipv4Sources: ['10.1.0.0/24'], ipv6Sources: ['fd00:1::/64'] };
    const accept = ['ip saddr { 10.1.0.0/24 } udp dport 443 accept', 'ip6 saddr { fd00:1::/64 } udp dport 443 accept'];
    const rules = rulesOf({ quicAllowed });
    expect(rules.filter((rule) => rule.endsWith('443 accept'))).toEqual([...accept, ...accept]);
    expect(rules.indexOf(accept[0] ?? '')).toBeLessThan(rules.findIndex((rule) => rule.includes('443 counter')));
  });

  it('needs routes for TPROXY alone', () => {
    expect(routedFamilies(plan)).toEqual([]);
    expect(routedFamilies({ ...plan, capture: 'tproxy' })).toEqual([4, 6]);
    expect(routedFamilies({ ...plan, capture: 'tproxy', ipv4: undefined })).toEqual([6]);
  });

  it('is undone by a script that works whether there is a table or not', () => {
    expect(removalScript()).toBe('table inet daylight\ndelete table inet daylight\n');
  });
});
