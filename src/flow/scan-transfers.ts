import type { IcapMessage } from '../codec/icap-request.ts';
import type { ScanFacts } from '../core/record.ts';
import type { FileTransfer, TransferOutcome, TransferRequest } from '../core/transfer.ts';
import type { Match, Verdict } from '../core/verdict.ts';
import { MessageScan, scanAlarm } from './message-scan.ts';
import type { Scanner } from './scanners.ts';

/** A transfer that rules inspect, as a scan tells it what it found. */
export interface ScannableTransfer extends FileTransfer {
  /** Records an alarm; returns once it is on disk. */
  alarm(match: Match): void;
  /** Takes a verdict for its record that was not made by rules. */
  settle(verdict: Verdict): Verdict;
  noteScan(facts: ScanFacts): void;
}

/** Between whom a file is transferred. */
interface Ends {
  readonly host: string;
  readonly shareKey: string;
}

/** Shows the file of a transfer to the content scanners of its direction, after the rules have judged it. */
export function scannedTransfer(
  inner: ScannableTransfer,
  request: TransferRequest,
  between: Ends,
  scanners: readonly Scanner[],
): FileTransfer {
  const isUpload = request.direction === 'upload';
  const asked = scanners.filter(({ policy }) => policy.mode !== (isUpload ? 'response' : 'request'));
  if (asked.length === 0) return inner;
  return new ScannedTransfer(inner, request, between, asked);
}

class ScannedTransfer implements FileTransfer {
  readonly #inner: ScannableTransfer;
  readonly #scan: MessageScan;

  constructor(
    inner: ScannableTransfer,
    request: TransferRequest,
    { host, shareKey }: Ends,
    scanners: readonly Scanner[],
  ) {
    this.#inner = inner;
    this.#scan = new MessageScan({
      method: request.direction === 'upload' ? 'REQMOD' : 'RESPMOD',
      message: request.direction === 'upload' ? 'request' : 'response',
      scanners,
      framing: { kind: 'until-close' },
      shareKey,
      heads: () => headsOf(request, host),
      onOutcome: (facts) => {
        inner.noteScan(facts);
        if (facts.outcome === 'blocked') inner.alarm(scanAlarm(facts, 'ftp.body'));
      },
    });
  }

  begin(): Verdict {
    return this.#inner.begin();
  }

  content(chunk: Buffer): Verdict {
    const verdict = this.#inner.content(chunk);
    if (verdict.kind !== 'allow' || !this.#scan.isActive) return verdict;
    const scanned = this.#scan.chunk(chunk);
    if (scanned.kind !== 'allow') return this.#inner.settle(scanned);
    return this.#scan.isActive ? keepAll : verdict;
  }

  end(): Verdict {
    const verdict = this.#inner.end();
    const until = verdict.kind === 'allow' ? this.#scan.end() : undefined;
    if (until === undefined) return verdict;
    return { ...keepAll, until: until.then((scanned) => this.#inner.settle(scanned)) };
  }

  finish(outcome: TransferOutcome): void {
    this.#scan.close();
    this.#inner.finish(outcome);
  }
}

const keepAll = { kind: 'allow', keepBytes: Number.POSITIVE_INFINITY } as const;

/** ICAP knows HTTP alone: a transfer looks like one by a proxy that is asked for an FTP address. */
function headsOf(
  { direction, path }: TransferRequest,
  host: string,
): Pick<IcapMessage, 'requestHead' | 'responseHead'> {
  const named = host.includes(':') ? `[${host}]` : host;
  const bytes = Buffer.from(path, 'latin1');
  const file = [...bytes].map((byte) => (plain.has(byte) ? String.fromCharCode(byte) : escaped(byte))).join('');
  const target = `ftp://${named}/${file.replace(/^\/+/, '')}`;
  const method = direction === 'upload' ? 'PUT' : 'GET';
  return {
    requestHead: Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: ${named}\r\n\r\n`),
    responseHead:
      direction === 'upload'
        ? undefined
        : Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n'),
  };
}

const plain: ReadonlySet<number> = new Set(
  Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/'),
);

function escaped(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
