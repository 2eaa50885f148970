import { existsSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { dirname, join } from 'node:path';
import { duplexPair } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Recording, record } from './recording.ts';

interface Vector {
  readonly test: string;
  readonly request: string;
  readonly client_hex: string;
  readonly server_hex: string;
}

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const file = join(process.env.DAYLIGHT_VECTORS ?? join(root, '../shared/vectors'), 'http-evader.jsonl');
const isPresent = existsSync(file);
if (!isPresent) console.warn(`SKIPPED: the malformed responses are not there (${file}); set DAYLIGHT_VECTORS`);
const vectors: readonly Vector[] = isPresent
  ? readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  : [];

describe.skipIf(!isPresent)('a malformed response', () => {
  test('comes in hundreds of kinds', () => {
    expect(vectors.length).toBeGreaterThan(200);
  });

  test.each(vectors)(
    'is refused, or has the body that a client sees: $test $request',
    async ({ client_hex, server_hex }) => {
      const recording = relayed(client_hex, server_hex, 65_536);
      const { wire, inspector } = recording;
      const [exchange] = inspector.exchanges;
      const outcome = exchange?.outcome;
      expect(outcome).toBeDefined();
      if (outcome?.complete !== true) {
        expect(outcome?.failure).toMatch(/^ORIGIN_HTTP_|^ORIGIN_TRUNCATED$|^ORIGIN_GONE$/);
        return;
      }
      const seen = await bodySeenByNode(wire.bytesTo('client'));
      expect(exchange?.responseBody.toString('latin1')).toBe(seen.toString('latin1'));
      expect(Buffer.from(server_hex, 'hex').toString('latin1').startsWith(wire.to('client'))).toBe(true);
    },
  );

  test.each(vectors)('means the same byte by byte: $test', ({ client_hex, server_hex }) => {
    const whole = relayed(client_hex, server_hex, 65_536).inspector.exchanges[0];
    const bytewise = relayed(client_hex, server_hex, 1).inspector.exchanges[0];
    expect(bytewise?.outcome?.complete).toBe(whole?.outcome?.complete);
    if (whole?.outcome?.complete === true) expect(bytewise?.responseBody).toEqual(whole.responseBody);
  });
});

function relayed(clientHex: string, serverHex: string, pieceBytes: number): Recording {
  const recording = record({ scheme: 'http' });
  recording.relay.receive('client', Buffer.from(clientHex, 'hex'));
  const response = Buffer.from(serverHex, 'hex');
  for (let at = 0; at < response.length; at += pieceBytes) {
    recording.relay.receive('origin', response.subarray(at, at + pieceBytes));
  }
  recording.relay.end('origin', true);
  return recording;
}

/** Node's parser at its most lenient, as a stand-in for a client that takes what it can. */
function bodySeenByNode(bytes: Buffer): Promise<Buffer> {
  const [near, far] = duplexPair();
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { createConnection: () => near, host: 'evader.example.com', insecureHTTPParser: true },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(Buffer.concat(chunks)));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end();
    far.resume();
    far.end(bytes);
  });
}
