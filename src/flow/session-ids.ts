import { Server } from 'node:net';

/** Of one control connection: a client resumes the session of that connection, or of its last data connection. */
const mostIds = 16;

/**
 * TLS sessions by their id, for clients that take no tickets (curl before TLS 1.3). Node asks whoever stands for the server
 * of a TLS socket; it never listens.
 */
export class SessionIds {
  readonly server = new Server();
  readonly #sessions = new Map<string, Buffer>();

  constructor() {
    this.server.on('newSession', (id: Buffer, session: Buffer, done: () => void) => {
      this.#keep(id.toString('hex'), session);
      done();
    });
    this.server.on('resumeSession', (id: Buffer, found: (error: null, session: Buffer | null) => void) => {
      found(null, this.#sessions.get(id.toString('hex')) ?? null);
    });
  }

  has(id: string): boolean {
    return this.#sessions.has(id);
  }

  #keep(id: string, session: Buffer): void {
    this.#sessions.set(id, session);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > mostIds && oldest !== undefined) this.#sessions.delete(oldest);
  }
}
