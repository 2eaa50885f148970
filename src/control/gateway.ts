import type { Server } from 'node:http';
import { serveAdmin } from '../admin/server.ts';
import { FlowFailure } from '../core/failures.ts';
import { limits } from '../core/limits.ts';
import type { Fault } from '../core/simulation.ts';
import type { Exposition } from '../metrics/exposition.ts';
import { IssuerService } from './issuers/issuer-service.ts';
import { Learning } from './learning.ts';
import { ListeningSockets } from './listening-sockets.ts';
import type { OperationalLog } from './operational-log.ts';
import { ConfigRejected, type LoadedPolicy, loadPolicy } from './policy-source.ts';
import { RevocationService } from './revocation/revocation-service.ts';
import { revocationSettings } from './revocation/revocation-settings.ts';
import { createSigner, type Signer } from './signer.ts';
import { Supervisor } from './supervisor.ts';

/** How often a rotation of the authority that is due by date is looked for. */
const authorityCheckMs = 3_600_000;

export interface GatewayOptions {
  readonly file: string;
  readonly loaded: LoadedPolicy;
  readonly log: OperationalLog;
  readonly metrics: Exposition;
  /** Faults that relays simulate. */
  readonly simulate: readonly Fault[];
}

/** A running gateway as control sees it: its policy, sockets, relays and admin address. */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #sockets = new ListeningSockets();
  readonly #signer: Signer;
  readonly #revocation: RevocationService;
  readonly #issuers: IssuerService;
  readonly #supervisor: Supervisor;
  readonly #learning: Learning;
  #loaded: LoadedPolicy;
  /** Files of the last configuration when it was rejected: correcting one of them is worth another look. */
  #rejectedFiles: readonly string[] = [];
  #admin: Server | undefined;
  #isStopping = false;
  #reloading: Promise<void> = Promise.resolve();
  #authorityTimer: NodeJS.Timeout | undefined;

  constructor(options: GatewayOptions) {
    const { loaded, log, metrics, simulate } = options;
    this.#options = options;
    this.#loaded = loaded;
    this.#signer = createSigner(
      loaded.authority,
      (problem) => log.warn(problem),
      () => (this.#loaded.config.backdatesLeafs ? limits.leafBackdateMs : 0),
    );
    this.#learning = new Learning({
      directory: loaded.config.authorityDirectory,
      policy: () => this.#loaded.document.learnedBypass,
      listeners: () => (this.#isStopping ? [] : this.#loaded.document.listeners.map(({ listen }) => listen)),
      log,
      metrics,
      share: () => this.#supervisor.shareLearned(),
    });
    this.#revocation = new RevocationService(revocationSettings(loaded.document), metrics);
    this.#issuers = new IssuerService(revocationSettings(loaded.document), metrics);
    this.#supervisor = new Supervisor({
      policy: loaded.document,
      relays: loaded.config.relays,
      sockets: this.#sockets,
      signer: this.#signer,
      revocation: this.#revocation,
      issuers: this.#issuers,
      log,
      metrics,
      learned: () => this.#learning.bypasses,
      simulate,
    });
  }

  get watchedFiles(): readonly string[] {
    return [...this.#loaded.config.files, ...this.#rejectedFiles];
  }

  /** Opens every listener and starts every relay; on failure nothing stays behind. */
  async start(): Promise<void> {
    const { document, config } = this.#loaded;
    try {
      this.#sockets.open(document.listeners, config.relays);
      this.#admin = await this.#serveAdmin();
      await this.#learning.start();
      await this.#supervisor.start();
      this.#authorityTimer = setInterval(() => void this.reload('hourly check'), authorityCheckMs).unref();
    } catch (error) {
      await this.#supervisor.stop(0);
      this.#close();
      await this.#learning.stop();
      throw error;
    }
  }

  /** Loads everything anew. All or nothing; never rejects: a bad file changes nothing and the log says why. */
  reload(reason: string): Promise<void> {
    this.#reloading = this.#reloading.then(() => this.#reloadOnce(reason));
    return this.#reloading;
  }

  /** Refuses new connections, lets flows end within the drain limit, then ends the relays. */
  async stop(): Promise<void> {
    this.#close();
    await this.#supervisor.stop(this.#loaded.document.timeouts.drainMs);
    await this.#learning.stop();
    await Promise.all([this.#signer.close(), this.#revocation.close(), this.#issuers.close()]);
  }

  /** Ends what is left at once. */
  async cut(): Promise<void> {
    await this.#supervisor.stop(0);
  }

  async #reloadOnce(reason: string): Promise<void> {
    const { log, file, metrics } = this.#options;
    try {
      const next = await loadPolicy(file, true);
      this.#rejectedFiles = [];
      if (next.config.contentDigest === this.#loaded.config.contentDigest && sameAuthority(next, this.#loaded)) {
        log.info('reloaded: nothing has changed', { reason });
        metrics.add({ 'daylight_policy_reloads_total{result="unchanged"}': 1 });
        return;
      }
      await this.#apply(next);
      for (const note of next.notes) log.info(note);
      metrics.add({ 'daylight_policy_reloads_total{result="applied"}': 1 });
      log.info('reloaded', { reason, policy: next.document.version });
    } catch (error) {
      const failure = error instanceof FlowFailure ? error : new FlowFailure('GATEWAY_INTERNAL', String(error));
      if (error instanceof ConfigRejected) this.#rejectedFiles = error.files;
      metrics.add({
        'daylight_policy_reloads_total{result="failed"}': 1,
        [`daylight_failures_total{code="${failure.code}"}`]: 1,
      });
      log.error('reload failed, the running policy stays', { reason, code: failure.code, detail: failure.detail });
    }
  }

  async #apply(next: LoadedPolicy): Promise<void> {
    const before = this.#loaded;
    const replace = openedAtStart(next) !== openedAtStart(before);
    if (next.config.relays !== before.config.relays) {
      throw new FlowFailure('GATEWAY_CONFIG_INVALID', 'the number of relays changes only on a restart');
    }
    if (JSON.stringify(next.document.admin) !== JSON.stringify(before.document.admin)) {
      throw new FlowFailure('GATEWAY_CONFIG_INVALID', 'the admin address changes only on a restart');
    }
    if (replace) {
      const { handoverMs } = next.document.timeouts;
      this.#options.log.info('listeners, records or exports change: relays are replaced, and their flows may end', {
        handoverMs,
      });
    }
    this.#sockets.open(next.document.listeners, next.config.relays);
    try {
      await this.#supervisor.apply(next.document, replace);
    } catch (error) {
      this.#sockets.open(before.document.listeners, before.config.relays);
      this.#sockets.closeRetired();
      throw error;
    }
    this.#signer.replace(next.authority);
    this.#revocation.replace(revocationSettings(next.document));
    this.#issuers.replace(revocationSettings(next.document));
    this.#loaded = next;
  }

  async #serveAdmin(): Promise<Server | undefined> {
    const { admin } = this.#loaded.document;
    if (admin === undefined) return undefined;
    return serveAdmin({
      listen: admin.listen,
      metrics: this.#options.metrics,
      relayCount: () => this.#supervisor.relayCount,
      version: () => this.#loaded.document.version,
    });
  }

  #close(): void {
    this.#isStopping = true;
    clearInterval(this.#authorityTimer);
    this.#sockets.closeAll();
    this.#admin?.close();
    this.#admin?.closeAllConnections();
  }
}

/** What a relay opens when it starts, and so takes up only in a new process: its listeners, record files and exports. */
function openedAtStart({ document }: LoadedPolicy): string {
  return JSON.stringify([document.listeners, document.records, document.export, document.keyLog]);
}

function sameAuthority(a: LoadedPolicy, b: LoadedPolicy): boolean {
  return a.document.authority.fingerprint === b.document.authority.fingerprint;
}
