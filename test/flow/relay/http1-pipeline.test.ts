import { expect, test } from 'vitest';
import { FlowFailure } from '../../../src/core/failures.ts';
import type { Exchange, RequestHead } from '../../../src/core/http.ts';
import { LiveExchange } from '../../../src/flow/relay/http1-exchange.ts';
import { Pipeline } from '../../../src/flow/relay/http1-pipeline.ts';
import { uninspected } from '../../../src/flow/uninspected.ts';
import { RecordingWire } from './recording.ts';

const head: RequestHead = {
  method: 'GET',
  target: '/',
  version: '1.1',
  host: 'a.example',
  headers: [],
  framing: { kind: 'none' },
};

function exchange(finish: Exchange['finish']): LiveExchange {
  return new LiveExchange({ ...uninspected, finish }, head, undefined);
}

test('every exchange that is cut is reported, also when reporting one of them fails', () => {
  const pipeline = new Pipeline({ wire: new RecordingWire(), flowId: 'flow-1', shareKey: '192.0.2.1' });
  const reported: string[] = [];
  for (const name of ['one', 'two', 'three']) {
    pipeline.add(
      exchange(() => {
        reported.push(name);
        throw new FlowFailure('GATEWAY_RECORDS_UNWRITABLE', name);
      }),
    );
  }
  expect(() => pipeline.cut('CLIENT_GONE', '')).toThrow('GATEWAY_RECORDS_UNWRITABLE: one');
  expect(reported).toEqual(['one', 'two', 'three']);
});
