import { sectionHeader } from '../codec/pcapng.ts';
import type { PolicyDocument } from '../core/policy.ts';
import { count } from '../metrics/counters.ts';
import { PcapOverIp } from '../net/pcap-over-ip.ts';
import { PacketFiles } from '../records/packet-files.ts';
import type { PacketSink } from './plaintext-export.ts';

export interface ExportOptions {
  readonly policy: PolicyDocument;
  /** Which of the relays this is: each streams on a port of its own. */
  readonly slot: number;
  /** Which files are this relay's. */
  readonly writer: number;
  readonly onProblem: (problem: string) => void;
}

/** Where decrypted traffic leaves a relay, with the life of its process. */
export interface Exports extends PacketSink {
  /** Lets another process take the port. */
  stopListening(): void;
  close(): Promise<void>;
}

const dropped = (sink: string): string => `daylight_export_dropped_bytes_total{sink="${sink}"}`;

/** Opens what policy says; undefined where nothing is exported. */
export function openExports({ policy, slot, writer, onProblem }: ExportOptions): Exports | undefined {
  const { pcapng, pcapOverIp } = policy.export;
  if (pcapng === undefined && pcapOverIp === undefined) return undefined;
  const header = sectionHeader('Decryption Detection: plaintext that was restored from TLS', 'Daylight');
  const files =
    pcapng === undefined
      ? undefined
      : new PacketFiles({
          policy: pcapng,
          slot: writer,
          header,
          now: Date.now,
          onProblem,
          onDrop: (bytes) => count(dropped('pcapng'), bytes),
        });
  const stream =
    pcapOverIp === undefined
      ? undefined
      : new PcapOverIp({
          listen: { ip: pcapOverIp.ip, port: pcapOverIp.port + slot },
          header,
          onProblem,
          onSlowReader: () => count('daylight_export_readers_dropped_total'),
        });
  return {
    isWanted: () => files !== undefined || stream?.hasReaders === true,
    add(blocks) {
      files?.add(blocks);
      stream?.add(blocks);
    },
    stopListening: () => stream?.stopListening(),
    async close() {
      stream?.close();
      await files?.close();
    },
  };
}
