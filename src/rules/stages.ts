/** What a moment of a transaction brings news of, and what a rule asks for: bits. */
export const stages = { context: 1, requestHead: 2, request: 4, responseHead: 8, response: 16 } as const;
