import type { Server } from 'node:http';
import type { LearnedBypassPolicy, ListenAddress } from '../core/policy.ts';
import type { Exposition } from '../metrics/exposition.ts';
import { type ControlAnswer, type ControlHandler, controlSocketPath, serveControl } from './control-socket.ts';
import { LearnedBypasses, type LearnedChange, type LearnedEntry } from './learned-bypasses.ts';
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
    this.#server = await serveControl(controlSocketPath(directory), this.#handle).catch((error: unknown) => {
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

  readonly #handle: ControlHandler = ({ method, path, body }) => {
    const id = typeof body.id === 'string' ? body.id : '';
    if (method === 'GET' && path === '/bypasses') {
      return { status: 200, body: { action: this.#options.policy().action, bypasses: this.#bypasses.entries } };
    }
    if (method === 'GET' && path === '/listeners') return { status: 200, body: this.#options.listeners() };
    if (method !== 'POST') return undefined;
    if (path === '/bypasses/approve') return this.#approve(id, body.forMs);
    if (path === '/bypasses/remove') return answerOf(this.#bypasses.remove(id), `nothing has the id "${id}"`);
    return undefined;
  };

  #approve(id: string, asked: unknown): ControlAnswer {
    const policy = this.#options.policy();
    const forMs = typeof asked === 'number' && asked > 0 && asked <= longestMs ? asked : policy.forMs;
    const refusal = 'or learnedBypass in the configuration refuses it';
    return answerOf(this.#bypasses.approve(id, forMs, policy), `nothing has the id "${id}", ${refusal}`);
  }
}

/** A week: what should pass for longer belongs into the configuration, where it has a reason. */
const longestMs = 7 * 86_400_000;

function answerOf(entry: LearnedEntry | undefined, complaint: string): ControlAnswer {
  return entry === undefined ? { status: 404, body: { error: complaint } } : { status: 200, body: entry };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
