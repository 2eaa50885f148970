import type { Header } from '../core/http.ts';
import type { HttpTransactionFacts, InterimFacts } from '../core/record.ts';
import { headText } from './header-text.ts';

/** Fields of a transaction that come apart from its heads, as members of `unmapped.gateway` with a comma before each. */
export interface ApartText {
  readonly text: string;
  readonly isTruncated: boolean;
}

const none: readonly Header[] = [];
const nothingApart: ApartText = { text: '', isTruncated: false };

/** Writes trailers and interim responses, masked as headers are. Without `withFields` only that there were some. */
export function apartText(transaction: HttpTransactionFacts, withFields: boolean): ApartText {
  // Nearly all transactions have none, and pay for no more than this look.
  if (transaction.interims === undefined) return nothingApart;
  const { requestTrailers = none, responseTrailers = none, interims } = transaction;
  if (requestTrailers.length + responseTrailers.length + interims.length === 0) return nothingApart;
  const request = headText(withFields ? requestTrailers : none);
  const response = headText(withFields ? responseTrailers : none);
  const before = interims.map((interim) => interimText(interim, withFields));
  return {
    text:
      `${requestTrailers.length === 0 ? '' : `,"request_trailers":${request.json}`}` +
      `${responseTrailers.length === 0 ? '' : `,"response_trailers":${response.json}`}` +
      `${before.length === 0 ? '' : `,"interim_responses":[${before.map(({ text }) => text).join()}]`}`,
    isTruncated: [request, response, ...before].some(({ isTruncated }) => isTruncated),
  };
}

function interimText({ status, headers, isCut }: InterimFacts, withFields: boolean): ApartText {
  const { json, isTruncated } = headText(withFields ? headers : none);
  return { text: `{"code":${status},"http_headers":${json}}`, isTruncated: isCut || isTruncated };
}
