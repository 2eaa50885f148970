import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { startDataPlane } from '../support/data-plane.ts';
import { startOrigin } from '../support/https-origin.ts';
import { Typist } from '../support/mail-origin.ts';

const drainMs = 20_000;

it('a response that ends long after the gateway wants to go down is followed by one more request', async () => {
  let release: () => void = () => {};
  await using origin = await startOrigin(undefined, ({ url = '' }, response) => {
    response.writeHead(200, { 'Content-Length': 5 });
    if (url === '/next') return void response.end('after');
    response.write('be');
    release = () => response.end('gun');
  });
  await using plane = await startDataPlane();
  const typist = new Typist(connect(plane.port, '127.0.0.1'));
  const ask = (path: string) =>
    `GET http://127.0.0.1:${origin.port}${path} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`;
  typist.say(ask('/slow'));
  await typist.hears(/be$/);
  const drained = plane.drain(drainMs);
  // Longer than a silent connection is left.
  await wait(3_000);
  release();
  await typist.hears(/gun$/);
  await wait(300);
  typist.say(ask('/next'));
  expect(await typist.hearsEnd()).toMatch(/\r\nConnection: close\r\n(?:.*\r\n)*\r\nafter$/);
  await drained;
  expect(plane.flows[0]?.failure).toBeUndefined();
  expect(plane.transactions).toHaveLength(2);
}, 30_000);
