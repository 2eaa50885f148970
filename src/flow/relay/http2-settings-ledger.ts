import { type Http2Settings, initialSettings } from '../../codec/http2-settings.ts';
import { limits } from '../../core/limits.ts';

/** Settings of one side: the last that the other has acknowledged, and those that are on their way, oldest first. */
export class SettingsLedger {
  #acknowledged: Http2Settings = initialSettings;
  readonly #pending: Http2Settings[] = [];
  newest: Http2Settings = initialSettings;

  /** False when too many are on their way. */
  add(settings: Http2Settings): boolean {
    if (this.#pending.length >= limits.http2PendingSettings) return false;
    this.newest = settings;
    this.#pending.push(settings);
    return true;
  }

  /** The other side has taken the oldest in. False when there was none. */
  acknowledge(): boolean {
    const settings = this.#pending.shift();
    if (settings !== undefined) this.#acknowledged = settings;
    return settings !== undefined;
  }

  /** What holds while nobody can tell which of them the other side has read: it may use the widest, and counts on the least. */
  bounds(): Http2Settings {
    const known = [this.#acknowledged, ...this.#pending];
    return {
      mostFrameBytes: Math.max(...known.map(({ mostFrameBytes }) => mostFrameBytes)),
      headerTableBytes: Math.max(...known.map(({ headerTableBytes }) => headerTableBytes)),
      initialWindow: Math.min(...known.map(({ initialWindow }) => initialWindow)),
      allowsConnect: this.newest.allowsConnect,
    };
  }
}
