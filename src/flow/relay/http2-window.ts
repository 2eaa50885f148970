import { initialSettings } from '../../codec/http2-settings.ts';

/**
 * What the sender of DATA believes of a window against what its receiver has left, which differ where the gateway keeps
 * bytes back or sends some of its own. What is kept is given back to the sender at once, so that neither its stream nor any
 * other waits for it; when it goes on after all, the sender is ahead, and updates are kept from it until both agree again.
 */
export class WindowAccount {
  #ahead = 0;
  /** Bytes that may go on and wait for the window alone. */
  #ready = 0;

  /** Whether what the sender may send need not fit. */
  get isAhead(): boolean {
    return this.#ahead > 0;
  }

  /** DATA has come that is not passed on as it is. */
  took(bytes: number): void {
    this.#ahead -= bytes;
  }

  /** Of what has come, so much may go on. */
  readied(bytes: number): void {
    this.#ready += bytes;
  }

  /** So much of that is sent. */
  sent(bytes: number): void {
    this.#ready -= bytes;
    this.#ahead += bytes;
  }

  /** Something is sent that was not among it. */
  sentBeside(bytes: number): void {
    this.#ahead += bytes;
  }

  /** So much of what might have gone on never will. */
  dropped(bytes: number): void {
    this.#ready -= bytes;
  }

  /** What the sender is to be given back now. Of what only the receiver holds up it gets nothing. */
  takeRefund(): number {
    const bytes = Math.max(0, -(this.#ahead + this.#ready));
    this.#ahead += bytes;
    return bytes;
  }

  /** The receiver has enlarged the window. What that sets free is sent before `grant` is asked for. */
  grew(bytes: number): void {
    this.#ahead -= bytes;
  }

  /** How much of an enlargement the sender may know of. */
  grant(bytes: number): number {
    const passed = Math.min(bytes, Math.max(0, -this.#ahead));
    this.#ahead += passed;
    return passed;
  }
}

/** The window of a connection towards one side, as that side has it. */
export class ConnectionWindow extends WindowAccount {
  #left = initialSettings.initialWindow;
  /** Window that a stream starts with: the least of what the side has said and not had acknowledged. */
  initialWindow = initialSettings.initialWindow;

  get left(): number {
    return this.#left;
  }

  /** Whether DATA has to wait although its sender had the window for it. */
  mustWait(bytes: number): boolean {
    return this.isAhead && bytes > this.#left;
  }

  /** DATA is passed on as it came. */
  use(bytes: number): void {
    this.#left -= bytes;
  }

  override sent(bytes: number): void {
    super.sent(bytes);
    this.#left -= bytes;
  }

  override sentBeside(bytes: number): void {
    super.sentBeside(bytes);
    this.#left -= bytes;
  }

  override grew(bytes: number): void {
    super.grew(bytes);
    this.#left += bytes;
  }
}
