import type { Server } from 'node:http';
import type { LearnedBypassPolicy, ListenAddress } from '../core/policy.ts';
import type { Exposition } from '../metrics/exposition.ts';
import { type ControlAnswer, type ControlRoutes, controlSocketPath, refusal, serveControl } from './control-socket.ts';
import { LearnedBypasses, type LearnedChange } from './learned-bypasses.ts';
import { readLearned, writeLearned } from './learned-file.ts';
import type { OperationalLog } from './operational-log.ts';

export interface LearningOptions {
  /** The authority's directory: holds the file and the control socket. */
  readonly directory: string;
  readonly policy: () => LearnedBypassPolicy;
  /** Where the gateway accepts connections, for commands that look for it. */
  readonly listeners: () => readonly ListenAddress[];
  readonly log: OperationalLog;
  readonly metrics: Exposition;
  /** Tells relays what is in force. */
  readonly share: () => void;
}

/** How often what is over is taken away, metrics are told and new evidence is written. */
const tickMs = 1_000;
const states = ['watched', 'pending', 'active'] as const;

/** Learned bypasses with their file, their log lines, their metrics and their commands. */
export class Learning {
  readonly #options: LearningOptions;
  #bypasses = new LearnedBypasses();
  #server: Server | undefined;
  #timer: NodeJS.Timeout | undefined;
  #written = '[]';
  #writing: Promise<void> = Promise.resolve();

  constructor(options: LearningOptions) {
    this.#options = options;
  }

  get bypasses(): LearnedBypasses {
    return this.#bypasses;
  }

  /** Reads the file and opens the control socket. Never rejects: without them the gateway inspects everything. */
  async start(): Promise<void> {
    const { directory, log } = this.#options;
    const onChange = (change: LearnedChange): void => this.#changed(change);
    const entries = await readLearned(directory).catch((error: unknown) => {
      log.warn('what was learned before is not used', { reason: reasonOf(error) });
      return [];
    });
    this.#bypasses = new LearnedBypasses({ entries, onChange });
    this.#written = JSON.stringify(entries);
    this.#server = await serveControl(controlSocketPath(directory), this.#routes).catch((error: unknown) => {
      log.warn('commands cannot reach this gateway, and what it learns is not kept', { reason: reasonOf(error) });
      return undefined;
    });
    this.#timer = setInterval(() => this.#tick(), tickMs).unref();
  }

  /** Writes what is new and closes the socket. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#save();
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = undefined;
    await this.#writing;
  }

  #tick(): void {
    this.#bypasses.expire();
    this.#save();
    const { entries } = this.#bypasses;
    const gauges = states.map((state) => [
      `daylight_learned_bypasses{state="${state}"}`,
      entries.filter((entry) => entry.state === state).length,
    ]);
    this.#options.metrics.set(Object.fromEntries(gauges));
  }

  /** One write at a time; what changes meanwhile is written by the next tick. */
  #save(): void {
    // The file is of the gateway that has the socket: another one on the same directory would write over it.
    if (this.#server === undefined) return;
    const { entries } = this.#bypasses;
    const text = JSON.stringify(entries);
    if (text === this.#written) return;
    this.#written = text;
    this.#writing = this.#writing
      .then(() => writeLearned(this.#options.directory, entries))
      .catch((error: unknown) => {
        this.#options.log.warn('learned bypasses cannot be written', { reason: reasonOf(error) });
      });
  }

  #changed({ entry, what }: LearnedChange): void {
    const { id, group, host, port, untilMs, rejections } = entry;
    const until = new Date(untilMs).toISOString();
    this.#options.log.info(`learned bypass: ${what}`, { id, group, host, port, rejections, until });
    if (what !== 'awaits approval') this.#options.share();
  }

  readonly #routes: ControlRoutes = {
    '/bypasses': {
      method: 'GET',
      answer: () => ({
        status: 200,
        body: { action: this.#options.policy().action, bypasses: this.#bypasses.entries },
      }),
    },
    '/bypasses/approve': {
      method: 'POST',
      members: ['id', 'forMs'],
      answer: ({ id, forMs }) => this.#approve(id, forMs),
    },
    '/bypasses/remove': {
      method: 'POST',
      members: ['id'],
      answer: ({ id }) => {
        if (typeof id !== 'string') return refusal(400, noId);
        const entry = this.#bypasses.remove(id);
        return entry === undefined ? refusal(404, unknownId(id)) : { status: 200, body: entry };
      },
    },
    '/listeners': { method: 'GET', answer: () => ({ status: 200, body: this.#options.listeners() }) },
  };

  #approve(id: unknown, asked: unknown): ControlAnswer {
    const policy = this.#options.policy();
    if (typeof id !== 'string') return refusal(400, noId);
    if (asked !== undefined && !isPeriod(asked)) {
      return refusal(400, `forMs must be a whole number of milliseconds, 1 to ${longestMs} (seven days)`);
    }
    if (!this.#bypasses.entries.some((entry) => entry.id === id)) return refusal(404, unknownId(id));
    const entry = this.#bypasses.approve(id, asked ?? policy.forMs, policy);
    if (entry !== undefined) return { status: 200, body: entry };
    return refusal(409, 'learnedBypass in the configuration refuses it: action is refuse, or never names the host');
  }
}

/** A week: what should pass for longer belongs into the configuration, where it has a reason. */
const longestMs = 7 * 86_400_000;

function isPeriod(asked: unknown): asked is number {
  return Number.isSafeInteger(asked) && Number(asked) >= 1 && Number(asked) <= longestMs;
}

const noId = 'id is missing, or no string';

function unknownId(id: string): string {
  return `nothing has the id ${JSON.stringify(id)}`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
