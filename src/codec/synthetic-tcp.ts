import type { Address } from '../core/endpoint.ts';
import { otherSide, type Side } from '../core/side.ts';
import { parseIp } from './ip-address.ts';

/**
 * Writes a conversation as the IP packets that would have carried it: handshake, segments that fit an MTU of 1500,
 * acknowledgements, and FIN or RST; with the right sequence numbers and checksums, so that a reader finds nothing odd.
 */
export class SyntheticTcp {
  readonly #client: Buffer;
  readonly #origin: Buffer;
  readonly #ports: Readonly<Record<Side, number>>;
  readonly #isV6: boolean;
  /** Next sequence number of each side. */
  readonly #next: Record<Side, number>;
  readonly #isEnded: Record<Side, boolean> = { client: false, origin: false };
  #id = 1;

  /** `sequence`: where the numbers of both sides start. Addresses of two families become IPv6, the IPv4 one mapped. */
  constructor(client: Address, origin: Address, sequence: Readonly<Record<Side, number>>) {
    const [one, other] = [bytesOf(client.ip), bytesOf(origin.ip)];
    this.#isV6 = one.length === 16 || other.length === 16;
    this.#client = this.#isV6 ? mapped(one) : one;
    this.#origin = this.#isV6 ? mapped(other) : other;
    this.#ports = { client: client.port, origin: origin.port };
    this.#next = { client: sequence.client >>> 0, origin: sequence.origin >>> 0 };
  }

  /** The handshake of three packets. */
  open(): readonly Buffer[] {
    const syn = this.#packet('client', flags.syn, noBytes, mssOption(this.#mss));
    this.#advance('client', 1);
    const synAck = this.#packet('origin', flags.syn | flags.ack, noBytes, mssOption(this.#mss));
    this.#advance('origin', 1);
    return [syn, synAck, this.#packet('client', flags.ack)];
  }

  /** What a side sent, in as many segments as it takes. The other side acknowledges before its window is full. */
  data(from: Side, bytes: Buffer): readonly Buffer[] {
    const packets: Buffer[] = [];
    if (this.#isEnded[from]) return packets;
    let unacknowledged = 0;
    for (let at = 0; at < bytes.length; at += this.#mss) {
      const part = bytes.subarray(at, at + this.#mss);
      const isLast = at + this.#mss >= bytes.length;
      packets.push(this.#packet(from, flags.ack | (isLast ? flags.push : 0), part));
      this.#advance(from, part.length);
      unacknowledged += part.length;
      if (!isLast && unacknowledged < acknowledgeBytes) continue;
      packets.push(this.#packet(otherSide(from), flags.ack));
      unacknowledged = 0;
    }
    return packets;
  }

  /** A side ends its half, and the other acknowledges. */
  end(from: Side): readonly Buffer[] {
    if (this.#isEnded[from]) return [];
    this.#isEnded[from] = true;
    const fin = this.#packet(from, flags.fin | flags.ack);
    this.#advance(from, 1);
    return [fin, this.#packet(otherSide(from), flags.ack)];
  }

  /** Ends what has not ended yet: with a reset where the conversation was cut. */
  close(isCut: boolean): readonly Buffer[] {
    const { client, origin } = this.#isEnded;
    if (client && origin) return [];
    if (!isCut) return [...this.end('client'), ...this.end('origin')];
    const from = client ? 'origin' : 'client';
    this.#isEnded.client = true;
    this.#isEnded.origin = true;
    return [this.#packet(from, flags.reset | flags.ack)];
  }

  get #mss(): number {
    return mtu - (this.#isV6 ? 40 : 20) - 20;
  }

  #advance(side: Side, by: number): void {
    this.#next[side] = (this.#next[side] + by) >>> 0;
  }

  #packet(from: Side, bits: number, payload: Buffer = noBytes, options: Buffer = noBytes): Buffer {
    const [source, target] = from === 'client' ? [this.#client, this.#origin] : [this.#origin, this.#client];
    const headerBytes = 20 + options.length;
    const ipBytes = this.#isV6 ? 40 : 20;
    const packet = Buffer.alloc(ipBytes + headerBytes + payload.length);
    const to = otherSide(from);
    packet.writeUInt16BE(this.#ports[from], ipBytes);
    packet.writeUInt16BE(this.#ports[to], ipBytes + 2);
    packet.writeUInt32BE(this.#next[from], ipBytes + 4);
    if ((bits & flags.ack) !== 0) packet.writeUInt32BE(this.#next[to], ipBytes + 8);
    packet[ipBytes + 12] = (headerBytes / 4) << 4;
    packet[ipBytes + 13] = bits;
    packet.writeUInt16BE(65_535, ipBytes + 14);
    options.copy(packet, ipBytes + 20);
    payload.copy(packet, ipBytes + headerBytes);
    const pseudo =
      sumOf(source, 0, source.length) + sumOf(target, 0, target.length) + tcp + headerBytes + payload.length;
    packet.writeUInt16BE(checksumOf(pseudo + sumOf(packet, ipBytes, packet.length)), ipBytes + 16);
    if (this.#isV6) this.#writeIpv6(packet, source, target);
    else this.#writeIpv4(packet, source, target);
    return packet;
  }

  #writeIpv4(packet: Buffer, source: Buffer, target: Buffer): void {
    packet[0] = 0x45;
    packet.writeUInt16BE(packet.length, 2);
    packet.writeUInt16BE(this.#id++ & 0xffff, 4);
    packet[6] = 0x40;
    packet[8] = hops;
    packet[9] = tcp;
    source.copy(packet, 12);
    target.copy(packet, 16);
    packet.writeUInt16BE(checksumOf(sumOf(packet, 0, 20)), 10);
  }

  #writeIpv6(packet: Buffer, source: Buffer, target: Buffer): void {
    packet[0] = 0x60;
    packet.writeUInt16BE(packet.length - 40, 4);
    packet[6] = tcp;
    packet[7] = hops;
    source.copy(packet, 8);
    target.copy(packet, 24);
  }
}

const mtu = 1_500;
const hops = 64;
const tcp = 6;
const flags = { fin: 0x01, syn: 0x02, reset: 0x04, push: 0x08, ack: 0x10 } as const;
/** Half of the window that every packet announces. */
const acknowledgeBytes = 32_768;
const noBytes: Buffer = Buffer.alloc(0);

/** Maximum segment size (RFC 9293 section 3.7.1). */
function mssOption(bytes: number): Buffer {
  return Buffer.from([2, 4, bytes >> 8, bytes & 0xff]);
}

/** An address that is not known, as of a client that was gone before it was accepted, is 0.0.0.0. */
function bytesOf(ip: string): Buffer {
  return parseIp(ip.split('%', 1)[0] ?? ip) ?? Buffer.alloc(4);
}

function mapped(ip: Buffer): Buffer {
  return ip.length === 16 ? ip : Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), ip]);
}

/** Sum of 16-bit words (RFC 1071); below 2^53 for anything that fits a packet. */
function sumOf(bytes: Buffer, from: number, to: number): number {
  let sum = 0;
  let at = from;
  for (; at + 1 < to; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return at < to ? sum + ((bytes[at] ?? 0) << 8) : sum;
}

function checksumOf(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  return ~folded & 0xffff;
}
