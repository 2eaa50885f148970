import { type FailureCode, FlowFailure } from '../core/failures.ts';
import type { Relay, Wire } from '../core/relay.ts';
import { countFailure } from './count-failure.ts';
import { type DataChannelOptions, openDataChannel } from './data-channel.ts';
import {
  activeMeeting,
  isProxied,
  listeningMeeting,
  originIpOf,
  passiveMeeting,
  type Stranger,
} from './data-meeting.ts';
import { dataTls } from './data-tls.ts';
import type { Flow } from './flow.ts';
import { scannersOf } from './flow-scanners.ts';
import { inspectFiles } from './inspect-files.ts';
import { createFtpRelay } from './relay/ftp.ts';

/** The relay of an FTP session, its greeting behind it, over the legs of a flow, whose data connections go through the gateway as well. */
export function filesRelay(flow: Flow, wire: Wire, canUpgrade: boolean): Relay {
  const { facts, policy, plane } = flow;
  const { client, origin } = facts;
  refuseOtherProtocols(flow);
  if (origin === undefined) throw new FlowFailure('ORIGIN_GONE', 'before its greeting');
  facts.protocol = 'ftp';
  const { timeouts, files } = policy.document;
  const tls = dataTls(flow);
  const secure: DataChannelOptions['secure'] = (side, socket, direction) =>
    side === 'origin' ? tls.origin(socket, direction) : tls.client(socket, direction);
  const common = { secure, idleMs: timeouts.idleMs, shareKey: facts.shareKey };
  const refused = (code: FailureCode, detail: string): void => noteRefusal(flow, code, detail);
  const stranger: Stranger = ({ ip }) => refused('CLIENT_FTP_HIJACK', `${ip} opened a data connection of ${client.ip}`);
  return createFtpRelay({
    wire,
    inspector: inspectFiles({ flow: facts, rules: policy.rules, recorder: plane.recorder, scanners: scannersOf(flow) }),
    channels: {
      passive: (port) => openDataChannel({ ...common, mode: 'passive', ...passiveMeeting(flow, port, stranger) }),
      active: (port) => openDataChannel({ ...common, mode: 'active', ...activeMeeting(flow, port, stranger) }),
      listening: isProxied(flow)
        ? (originPort, clientPort) =>
            openDataChannel({ ...common, mode: 'active', ...listeningMeeting(flow, originPort, clientPort) })
        : undefined,
    },
    clientIp: client.ip,
    originIp: originIpOf(flow),
    canUpgrade,
    isSecure: facts.decrypted,
    requireTls: files.requireTls,
    clearData: files.clearData,
    passiveAddress: files.passiveAddress,
    authSsl: files.authSsl,
    clearCommandChannel: files.clearCommandChannel,
    blockedUpload: files.blockedUpload,
    refused,
  });
}

/** The session goes on; its record says what was tried. */
function noteRefusal({ facts }: Flow, code: FailureCode, detail: string): void {
  countFailure(facts, code);
  facts.failure ??= code;
  if (facts.failureDetail === '') facts.failureDetail = detail;
}

/** A client that offered protocols in TLS, none of them FTP, meant to speak to somebody else (ALPACA). */
function refuseOtherProtocols({ facts, hello }: Flow): void {
  const offered = facts.decrypted ? (hello?.alpn ?? []) : [];
  if (offered.length === 0 || offered.some((protocol) => /^ftps?(?:-data)?$/.test(protocol))) return;
  throw new FlowFailure('CLIENT_ALPN_UNSUPPORTED', offered.join(' ').slice(0, 100));
}
