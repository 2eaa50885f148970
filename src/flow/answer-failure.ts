import type { Socket } from 'node:net';
import { goawayFrame, http2Errors, settingsFrame } from '../codec/http2-frames.ts';
import { socks5ReplyFor } from '../codec/socks5.ts';
import { type FlowFailure, failureOf } from '../core/failures.ts';
import type { ClientHello } from '../core/tls.ts';
import { readUntil } from '../net/read-until.ts';
import { certificatePageFacts } from './certificate-page-facts.ts';
import { acceptClient, refuseWithAlert } from './client-leg.ts';
import type { Flow } from './flow.ts';
import { leafKeyTypeFor } from './leaf-key-choice.ts';
import { filesPort, isMailPort, tellingPort } from './mail-ports.ts';
import { warnsOf } from './origin-failure.ts';
import { ftpAnswers } from './relay/ftp-answers.ts';
import { failurePage } from './relay/http1-page.ts';
import { answers as smtpAnswers } from './relay/smtp-answers.ts';

/**
 * Tells a client why its flow ends, at the layer that it is at: a page, a SOCKS5 reply, a TLS alert, or, by policy, a
 * leaf of the untrusted authority with a page behind it. Never a trusted leaf.
 */
export async function answerFailure(flow: Flow, failure: FlowFailure): Promise<void> {
  const { client } = flow;
  if (client.destroyed || !client.writable || failure.code === 'CLIENT_GONE') return;
  switch (flow.answerLayer) {
    case 'none':
      client.destroy();
      return;
    case 'told':
      return;
    case 'proxy-request':
    case 'http':
      client.write(pageFor(flow, failure));
      return;
    case 'greeting':
      client.write(`${greetingOf(flow, failure)}\r\n`);
      return;
    case 'http2':
      // No page can answer a request that nobody has read yet.
      client.write(Buffer.concat([settingsFrame(Buffer.alloc(0)), goawayFrame(0, http2Errors.internalError)]));
      return;
    case 'socks5':
      client.write(socks5ReplyFor(failure.code));
      return;
    case 'tls':
      if (flow.hello !== undefined && warnsOf(flow, failure.code)) await showUntrusted(flow, failure, flow.hello);
      else refuseWithAlert(client, failureOf(failure.code).alert);
  }
}

function greetingOf(flow: Flow, { code, detail }: FlowFailure): string {
  const isFiles = tellingPort(flow) === filesPort;
  return isFiles ? ftpAnswers.failed('greeting', code, detail) : smtpAnswers.failed('greeting', code, detail);
}

function pageFor({ facts }: Flow, { code, detail }: FlowFailure): Buffer {
  const certificate = /^ORIGIN_CERT_/.test(code) ? facts.originTls?.certificate : undefined;
  const asked = facts.serverName ?? facts.destination?.host;
  return failurePage({
    code,
    detail,
    flowId: facts.flowId,
    ...(certificate === undefined ? {} : { facts: certificatePageFacts(certificate, asked, Date.now()) }),
  });
}

/** The client meets an authority that it does not trust; one that goes on all the same reads why, and no byte of the origin. */
async function showUntrusted(flow: Flow, failure: FlowFailure, hello: ClientHello): Promise<void> {
  const { leafs } = flow.plane;
  const { tls, timeouts } = flow.policy.document;
  // A mail client waits for a greeting and would read a page as nonsense.
  const isMail = isMailPort(tellingPort(flow));
  const name = flow.facts.serverName ?? flow.facts.destination?.host ?? 'unknown';
  const leaf = await leafs.contextFor(
    { kind: 'untrusted', name: name.toLowerCase(), code: failure.code },
    leafKeyTypeFor(hello),
    tls.client,
    flow.facts.shareKey,
  );
  const leg = await acceptClient({
    transport: flow.client,
    leaf,
    alpn: isMail ? undefined : 'http/1.1',
    serverName: hello.serverName,
    timeoutMs: timeouts.handshakeMs,
    onKeys: flow.plane.keyLog?.client,
  });
  flow.client = leg.socket;
  if (isMail) {
    leg.socket.write(`${smtpAnswers.failed('warned', failure.code, failure.detail)}\r\n`);
    return;
  }
  await requestSeen(leg.socket, timeouts.openingMs);
  leg.socket.write(pageFor(flow, failure));
}

/** Waits for the end of a request head, whatever it says: a page before the request would be taken for noise. */
function requestSeen(socket: Socket, deadlineMs: number): Promise<boolean> {
  const limits = {
    deadlineMs,
    maximumBytes: 65_536,
    onDeadline: 'CLIENT_HTTP_TIMEOUT',
    onTooLarge: 'CLIENT_HTTP_HEAD_TOO_LARGE',
  } as const;
  return readUntil(socket, limits, (bytes) =>
    bytes.includes('\r\n\r\n') ? { value: true, consumed: bytes.length } : undefined,
  );
}
