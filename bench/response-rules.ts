/** Rules that read every response to its end: detectors of numbers and keys, and literals. */
export const responseRules = `
- { id: bench.cards, title: Cards, action: alarm, when: { field: http.response.body, detector: card_number } }
- { id: bench.keys, title: Keys, action: alarm, when: { field: http.response.body, detector: private_key } }
- { id: bench.tokens, title: Tokens, action: alarm, when: { field: http.response.body, detector: cloud_credential } }
- id: bench.words
  title: Words
  action: block
  when: { field: http.response.body, contains: [Project Moonbeam, "Kundennummer:", "eval(atob("], nocase: true }
`;
