interface Asked<T> {
  readonly client: string;
  readonly answer: Promise<T | undefined>;
}

/**
 * One question at a time for each key, whoever asks. An answer that is undefined says that there was no place for it in the
 * share of the client that asked first: others who waited for it ask again, in their own.
 */
export class AskedOnce<T> {
  readonly #pending = new Map<string, Asked<T>>();

  async ask(key: string, client: string, question: () => Promise<T | undefined>): Promise<T | undefined> {
    const asked = this.#pending.get(key);
    if (asked !== undefined) {
      const answer = await asked.answer;
      return answer === undefined && asked.client !== client ? this.ask(key, client, question) : answer;
    }
    const answer = question().finally(() => this.#pending.delete(key));
    this.#pending.set(key, { client, answer });
    return answer;
  }
}
