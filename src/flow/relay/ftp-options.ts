import type { Address } from '../../core/endpoint.ts';
import { type FailureCode, FlowFailure } from '../../core/failures.ts';
import type { Wire } from '../../core/relay.ts';
import type { FileTransfer, TransferInspector } from '../../core/transfer.ts';

export interface FtpOptions {
  readonly wire: Wire;
  readonly inspector: TransferInspector;
  readonly channels: DataChannels;
  /** Address of the client, and of the origin on the control connection; undefined where a proxy resolves its name. */
  readonly clientIp: string;
  readonly originIp: string | undefined;
  /** The legs are plain and may be put under TLS. */
  readonly canUpgrade: boolean;
  /** TLS on both legs from the start. */
  readonly isSecure: boolean;
  readonly requireTls: boolean;
  readonly clearData: 'allow' | 'refuse';
  readonly authSsl: 'refuse' | 'allow';
  readonly clearCommandChannel: 'refuse' | 'allow';
  /** What the origin has of an upload that is blocked. */
  readonly blockedUpload: 'keep' | 'delete';
  /** What becomes of a 227 that names another address than the origin's own. */
  readonly passiveAddress: 'refuse' | 'ignore';
  /** Told of what was refused while the session goes on. */
  readonly refused: (code: FailureCode, detail: string) => void;
}

/** Whether a client may end TLS on its control connection (CCC). */
export function mayClear({ clearCommandChannel, requireTls }: FtpOptions): boolean {
  return clearCommandChannel === 'allow' && !requireTls;
}

/** Opens data channels; implemented with sockets. */
export interface DataChannels {
  /** The client will connect to the gateway, and the gateway to `originPort` of the origin. */
  passive(originPort: number): Promise<DataChannel>;
  /** The origin will connect to the gateway, and the gateway to `clientPort` of the client. */
  active(clientPort: number): Promise<DataChannel>;
  /** The gateway will connect to both, which listen. There where the origin cannot connect to the gateway. */
  readonly listening?: ((originPort: number, clientPort: number) => Promise<DataChannel>) | undefined;
}

/** Both legs of one data connection. */
export interface DataChannel {
  readonly mode: 'passive' | 'active';
  /** Where the peer that connects finds the gateway. */
  readonly address: Address;
  /** Given up, e.g. because nobody came in time, or done. */
  readonly isOver: boolean;
  /** The command that uses the channel was passed on: connects, and puts TLS over the origin's leg where it is asked for. */
  connect(how: Pick<DataPlan, 'direction' | 'isProtected'>): void;
  /** The origin has agreed: TLS where it is asked for, then the bytes. `settled` is called once. */
  begin(plan: DataPlan): void;
  /** Bytes have moved within the idle limit, whether more are to come or not: the origin may have to finish its work. */
  readonly hasMoved: () => boolean;
  /** Cuts both legs visibly, and is done. */
  abort(): void;
}

export interface DataPlan {
  readonly direction: 'upload' | 'download';
  readonly isProtected: boolean;
  readonly transfer: FileTransfer;
  readonly settled: (outcome: DataOutcome) => void;
}

/** How both legs ended; without a code all bytes went through and both ends were proper. */
export interface DataOutcome {
  readonly code: FailureCode | undefined;
  readonly detail: string;
}

/** A channel, or why there is none; never rejects. */
export async function openedOrFailed(opening: Promise<DataChannel>): Promise<DataChannel | FlowFailure> {
  try {
    return await opening;
  } catch (error) {
    return error instanceof FlowFailure ? error : new FlowFailure('GATEWAY_INTERNAL', String(error));
  }
}
