import { extendedPortText, hostPortText } from '../../codec/ftp-address.ts';
import type { FtpCommand } from '../../codec/ftp-command.ts';
import type { FtpReply } from '../../codec/ftp-reply.ts';
import type { Address } from '../../core/endpoint.ts';
import { type FailureCode, FlowFailure } from '../../core/failures.ts';
import { type DataChannel, type FtpOptions, openedOrFailed } from './ftp-options.ts';
import { passiveOfferOf, passiveReply } from './ftp-passive.ts';
import { lineOf } from './ftp-transfers.ts';

export interface OpeningEvents {
  /** The client is to be told where the gateway listens in place of the origin. */
  readonly toClient: (line: Buffer) => void;
  /** The origin is to be told where the gateway listens in place of the client, or asked to listen itself. */
  readonly toOrigin: (command: FtpCommand, expected: 'active' | 'passive') => void;
  /** The next transfer uses it. */
  readonly opened: (channel: DataChannel) => void;
  readonly refused: (code: FailureCode, detail: string) => void;
  readonly malformed: (detail: string) => void;
  /** Other commands may go on. */
  readonly settled: () => void;
}

const pasv = lineOf('PASV');
const epsv = lineOf('EPSV');

/** Opens the data channels that either side names a port for. */
export class FtpDataOpening {
  readonly #options: FtpOptions;
  readonly #events: OpeningEvents;
  #isOver = false;
  /** Where the client listens that has asked last. */
  #clientPort = 0;
  /** Nothing else is passed on meanwhile. */
  isBusy = false;

  constructor(options: FtpOptions, events: OpeningEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** The origin listens, as `command` has asked for: the client gets a listener of the gateway in its place, or listens too. */
  passive(reply: FtpReply, { verb }: FtpCommand): void {
    const { originIp, passiveAddress, channels } = this.#options;
    const offer = passiveOfferOf(reply, originIp, passiveAddress);
    if (offer.kind === 'malformed') return this.#events.malformed(`${reply.code} without an address`);
    if (offer.kind === 'foreign') return this.#events.refused('ORIGIN_FTP_BOUNCE', offer.detail);
    if (channels.listening !== undefined && (verb === 'PORT' || verb === 'EPRT')) {
      return this.#open(channels.listening(offer.port, this.#clientPort), () =>
        this.#events.toClient(lineOf(`200 ${verb} command successful`)),
      );
    }
    this.#open(channels.passive(offer.port), (channel) => {
      const text = passiveReply(reply.code, channel.address);
      this.#events.toClient(lineOf(text ?? '425 PASV cannot name an IPv6 address; use EPSV'));
    });
  }

  /** The client listens: the origin gets a listener of the gateway in its place, or listens too where it could not connect. */
  active(command: FtpCommand, { port }: Address): void {
    const { channels } = this.#options;
    if (channels.listening !== undefined) {
      this.#clientPort = port;
      // In kind: a client whose EPRT is refused tries PORT.
      return this.#events.toOrigin({ ...command, line: command.verb === 'PORT' ? pasv : epsv }, 'passive');
    }
    this.#open(channels.active(port), (channel) => {
      const plain = command.verb === 'PORT' ? hostPortText(channel.address) : undefined;
      const line = plain === undefined ? `EPRT ${extendedPortText(channel.address)}` : `PORT ${plain}`;
      this.#events.toOrigin({ ...command, line: lineOf(line) }, 'active');
    });
  }

  /** The session is over: what opens later is closed. */
  cut(): void {
    this.#isOver = true;
  }

  #open(opening: Promise<DataChannel>, then: (channel: DataChannel) => void): void {
    this.isBusy = true;
    openedOrFailed(opening).then((channel) => {
      const hasFailed = channel instanceof FlowFailure;
      if (this.#isOver) return hasFailed ? undefined : channel.abort();
      this.isBusy = false;
      if (hasFailed) this.#events.refused(channel.code, channel.detail);
      else {
        this.#events.opened(channel);
        then(channel);
      }
      this.#events.settled();
    });
  }
}
