import { HpackDecoder } from '../../codec/hpack-decoder.ts';
import type { Http2Field } from '../../codec/http2-field.ts';
import { frameFault } from '../../codec/http2-frame-fault.ts';
import { FrameReader } from '../../codec/http2-frame-reader.ts';
import { flags, frameTypes, type Http2Error, http2Errors, settingsFrame } from '../../codec/http2-frames.ts';
import { type Http2Settings, readSettings, type SettingsLimits } from '../../codec/http2-settings.ts';
import type { FailureCode } from '../../core/failures.ts';
import { limits } from '../../core/limits.ts';
import { otherSide, type Side } from '../../core/side.ts';
import { Budget } from './http2-budget.ts';
import type { Http2Connection } from './http2-connection.ts';
import { HeaderBlock } from './http2-header-block.ts';
import { SettingsLedger } from './http2-settings-ledger.ts';

/** What one direction does with frames that are right in themselves. Those that answer true are passed on as they are. */
export interface FrameHandler {
  headers(block: HeaderBlock, fields: readonly Http2Field[], isTooLarge: boolean): void;
  data(frame: FrameReader, from: number, to: number, endsStream: boolean): boolean;
  reset(streamId: number, error: number): boolean;
  /** Returns the increment to pass on; the same where it is not touched. */
  windowUpdate(streamId: number, increment: number): number;
  goaway(lastStreamId: number): boolean;
  /** Settings of this side hold: each by the stricter of what was said and what was acknowledged. */
  settled(settings: Http2Settings): void;
}

/** What the frames of one side share whatever they mean: their form, header compression, settings, and what they may cost. */
export class Http2Direction {
  readonly #connection: Http2Connection;
  readonly #side: Side;
  readonly #limited: SettingsLimits;
  readonly #reader = new FrameReader();
  readonly #decoder = new HpackDecoder();
  readonly #block = new HeaderBlock();
  readonly budget = new Budget(limits.http2EmptyFrames, limits.http2EmptyFramesPerSecond, limits.http2EmptyFramesMost);
  #handler: FrameHandler | undefined;
  /** The other direction, whose sender the settings of this one bind. */
  #peer: Http2Direction | undefined;
  #isSettled = false;
  /** What this side has said, and how much of it the other has acknowledged. */
  readonly #ledger = new SettingsLedger();
  #incompleteSinceMs: number | undefined;

  constructor(connection: Http2Connection, side: Side, limited: SettingsLimits) {
    this.#connection = connection;
    this.#side = side;
    this.#limited = limited;
  }

  /** Joins the direction to what is done with its frames, and to the other direction. */
  join(handler: FrameHandler, peer: Http2Direction): void {
    this.#handler = handler;
    this.#peer = peer;
  }

  /** What this side allows, by the last thing that it said. */
  get settings(): Http2Settings {
    return this.#ledger.newest;
  }

  /** Whether nothing is begun and unfinished. */
  get isBetweenFrames(): boolean {
    return this.#reader.isBetweenFrames && !this.#block.isOpen;
  }

  receive(chunk: Buffer): void {
    this.#reader.push(chunk);
    this.#read();
  }

  /** Refuses a header block, settings or a preface that take too long. */
  tick(nowMs: number): void {
    this.budget.refill();
    if (!this.#block.isOpen) this.#incompleteSinceMs = undefined;
    else if (this.#incompleteSinceMs === undefined) this.#incompleteSinceMs = nowMs;
    else if (nowMs - this.#incompleteSinceMs > limits.httpHeadTimeoutMs) {
      const code = this.#side === 'client' ? 'CLIENT_HTTP_TIMEOUT' : 'ORIGIN_IDLE_TIMEOUT';
      this.#connection.fail(this.#side, http2Errors.enhanceYourCalm, code, 'an incomplete header block');
    }
  }

  /** Ends the connection for what this side did. Always false, for `return`. */
  fail(error: Http2Error, detail: string, code?: FailureCode): false {
    const usual = this.#side === 'client' ? 'CLIENT_HTTP2_PROTOCOL' : 'ORIGIN_HTTP2_PROTOCOL';
    this.#connection.fail(this.#side, error, code ?? usual, detail);
    return false;
  }

  /** Takes the cost of a frame that carries nothing off the budget. */
  spend(amount: number): boolean {
    return this.budget.spend(amount) || this.#flood('frames that carry nothing');
  }

  #flood(detail: string): false {
    const code = this.#side === 'client' ? 'CLIENT_HTTP2_FLOOD' : 'ORIGIN_HTTP2_FLOOD';
    return this.fail(http2Errors.enhanceYourCalm, detail, code);
  }

  #read(): void {
    const reader = this.#reader;
    while (!this.#connection.isOver && reader.next()) if (!this.#frame()) break;
    if (reader.isTooLarge && !this.#connection.isOver)
      this.fail(http2Errors.frameSizeError, 'a frame that is too large');
    reader.release();
  }

  /** Handles the present frame. False when no other may follow now. */
  #frame(): boolean {
    const { type, streamId } = this.#reader;
    if (!this.#isSettled && type !== frameTypes.settings) {
      return this.fail(http2Errors.protocolError, 'a first frame other than SETTINGS');
    }
    if (this.#block.isOpen && (type !== frameTypes.continuation || streamId !== this.#block.streamId)) {
      return this.fail(http2Errors.protocolError, 'a frame within a header block');
    }
    const fault = frameFault(this.#reader);
    if (fault !== undefined) return this.fail(fault.error, fault.detail);
    switch (type) {
      case frameTypes.data:
        return this.#data();
      case frameTypes.headers:
        return this.#headers();
      case frameTypes.continuation:
        return this.#continuation();
      case frameTypes.settings:
        return this.#receivedSettings();
      case frameTypes.windowUpdate:
        return this.#windowUpdate();
      case frameTypes.rstStream:
        return this.#reset();
      case frameTypes.goaway:
        return this.#goaway();
      case frameTypes.altSvc:
        return this.spend(1) && (this.#connection.options.altSvc === 'keep' ? this.#forward() : this.#strip());
      default:
        // PING, PRIORITY, and extensions that both ends may know (RFC 9113 section 5.5).
        return this.spend(1) && this.#forward();
    }
  }

  #forward(): boolean {
    const { bytes, from, to } = this.#reader;
    this.#connection.to[otherSide(this.#side)].forward(bytes, from, to);
    return true;
  }

  /** Leaves an ALTSVC frame out, which only origins send with a meaning. */
  #strip(): true {
    const { streams, lastStreamId, stripped } = this.#connection;
    if (this.#side === 'origin') stripped.note(streams.get(this.#reader.streamId) ?? streams.get(lastStreamId));
    return true;
  }

  #data(): boolean {
    const reader = this.#reader;
    const endsStream = (reader.flags & flags.endStream) !== 0;
    let { payload, to } = reader;
    if ((reader.flags & flags.padded) !== 0) {
      const padding = reader.bytes[payload] ?? 0;
      payload += 1;
      to -= padding;
      if (payload > to) return this.fail(http2Errors.protocolError, 'padding longer than its frame');
    }
    if (to > payload) {
      this.budget.earn(1);
      // Each may be answered with an update of the stream's and of the connection's window.
      this.#peer?.budget.earn(3);
    } else if (!endsStream && !this.spend(1)) return false;
    const isPassed = this.#handler?.data(reader, payload, to, endsStream) === true;
    return isPassed ? this.#forward() : !this.#connection.isOver;
  }

  #headers(): boolean {
    const reader = this.#reader;
    this.budget.earn(4);
    this.#peer?.budget.earn(4);
    const fault = this.#block.open(reader);
    if (fault !== '') return this.fail(http2Errors.protocolError, fault);
    return this.#blockRead();
  }

  #continuation(): boolean {
    if (!this.#block.isOpen) return this.fail(http2Errors.protocolError, 'CONTINUATION without a header block');
    this.#block.add(this.#reader);
    return this.spend(1) && this.#blockRead();
  }

  #blockRead(): boolean {
    const block = this.#block;
    if (block.frames > limits.http2HeaderFrames) return this.#flood('a header block in too many frames');
    if (block.length > limits.httpHeadBytes) {
      const code = this.#side === 'client' ? 'CLIENT_HTTP_HEAD_TOO_LARGE' : 'ORIGIN_HTTP_HEAD_TOO_LARGE';
      return this.fail(http2Errors.enhanceYourCalm, 'a header block beyond the limit', code);
    }
    if (block.isOpen) return true;
    const fields = this.#decoder.decode(block.bytes, block.from, block.to);
    block.release();
    if (this.#decoder.fault !== '') return this.fail(http2Errors.compressionError, this.#decoder.fault);
    this.#handler?.headers(block, fields, this.#decoder.isTooLarge);
    return !this.#connection.isOver;
  }

  #receivedSettings(): boolean {
    const { bytes, payload, to } = this.#reader;
    const isAck = (this.#reader.flags & flags.ack) !== 0;
    if (isAck) return this.#acknowledge();
    const isFirst = !this.#isSettled;
    const read = readSettings(bytes.subarray(payload, to), this.#ledger.newest, this.#limited, isFirst);
    if (read.fault !== '') return this.fail(read.error, read.fault);
    if (!this.spend(isFirst ? 0 : 10)) return false;
    if (!this.#ledger.add(read.settings)) return this.#flood('SETTINGS that nobody has acknowledged');
    this.#isSettled = true;
    this.#bind();
    const out = this.#connection.to[otherSide(this.#side)];
    const frame = settingsFrame(read.payload);
    // Settings that are passed on as they came keep their frame.
    if (read.isChanged) out.forward(frame, 0, frame.length);
    else this.#forward();
    if (isFirst) out.open();
    return true;
  }

  /** This side acknowledges settings of the other: they bind it from now on. */
  #acknowledge(): boolean {
    if (!this.#isSettled) return this.fail(http2Errors.protocolError, 'a first frame other than SETTINGS');
    if (!this.#peer?.wasAcknowledged()) return this.spend(1);
    // The next block to the other side says anew that nothing of its table is used.
    this.#connection.to[otherSide(this.#side)].tellsTable = true;
    return this.#forward();
  }

  /** The other side has acknowledged the oldest settings of this one. False when none was outstanding. */
  wasAcknowledged(): boolean {
    const isKnown = this.#ledger.acknowledge();
    if (isKnown) this.#bind();
    return isKnown;
  }

  #bind(): void {
    const bounds = this.#ledger.bounds();
    this.#peer?.allow(bounds.mostFrameBytes, bounds.headerTableBytes);
    this.#handler?.settled(bounds);
  }

  allow(mostFrameBytes: number, tableBytes: number): void {
    this.#reader.mostFrameBytes = mostFrameBytes;
    this.#decoder.allowTable(tableBytes);
  }

  #windowUpdate(): boolean {
    const { bytes, payload, streamId } = this.#reader;
    const increment = bytes.readUInt32BE(payload) & 0x7fffffff;
    if (!this.spend(1)) return false;
    const passed = this.#handler?.windowUpdate(streamId, increment) ?? 0;
    if (this.#connection.isOver) return false;
    if (passed === increment) return this.#forward();
    this.#connection.credit(otherSide(this.#side), passed, streamId);
    return true;
  }

  #reset(): boolean {
    const { bytes, payload, streamId } = this.#reader;
    if (!this.spend(1)) return false;
    const isPassed = this.#handler?.reset(streamId, bytes.readUInt32BE(payload)) ?? false;
    if (this.#connection.isOver) return false;
    return !isPassed || this.#forward();
  }

  #goaway(): boolean {
    const { bytes, payload } = this.#reader;
    if (!this.spend(10)) return false;
    const isPassed = this.#handler?.goaway(bytes.readUInt32BE(payload) & 0x7fffffff) ?? false;
    return !isPassed || this.#forward();
  }
}
