/**
 * Node warns of parameters that are too weak, each time that a server is set up with them: the bad origins of the self-test
 * have them on purpose. Silences those warnings until disposed of; all others go where they went.
 */
export class FarmWarnings implements Disposable {
  readonly #before = process.listeners('warning');
  readonly #pass = (warning: Error): void => {
    if (warning.name === 'SecurityWarning') return;
    for (const listener of this.#before) listener.call(process, warning);
  };

  constructor() {
    process.removeAllListeners('warning').on('warning', this.#pass);
  }

  [Symbol.dispose](): void {
    process.off('warning', this.#pass);
    for (const listener of this.#before) process.on('warning', listener);
  }
}
