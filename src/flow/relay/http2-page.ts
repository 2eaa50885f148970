import { Http2Field } from '../../codec/http2-field.ts';
import { http2Errors, rstStreamFrame } from '../../codec/http2-frames.ts';
import { requestField } from './http1-exchange.ts';
import { pageParts } from './http1-page.ts';
import type { Refusal } from './http1-pipeline.ts';
import type { Http2Connection } from './http2-connection.ts';
import type { Http2Stream } from './http2-stream.ts';

/** Answers a stream with the page that tells of a refusal, whose body is sent as the client's windows allow. */
export function answerStream(connection: Http2Connection, stream: Http2Stream, refusal: Refusal): void {
  const { code, detail, status, rule } = refusal;
  const { request, id } = stream;
  const page = pageParts({
    code,
    rule,
    // The rule says it all; its id is the detail of the record.
    detail: rule === undefined ? detail : '',
    flowId: connection.options.flowId,
    accept: requestField(request, 'accept'),
    status,
  });
  stream.answered = page.status;
  const isWithoutBody = request.method === 'HEAD';
  const fields = [
    new Http2Field(':status', String(page.status)),
    ...page.fields.map(([name, value]) => new Http2Field(name.toLowerCase(), value)),
  ];
  const isUnread = stream.isClientDone;
  if (!isUnread) connection.late.client.add(id);
  connection.to.client.headers(id, fields, isWithoutBody);
  // RFC 9113 section 8.1: a server that has answered may ask the client to stop sending without an error.
  const ended = (): void => {
    if (!isUnread) connection.to.client.send(rstStreamFrame(id, http2Errors.noError));
  };
  if (isWithoutBody) ended();
  else if (!connection.answers.add(id, page.body, stream.creditedByClient, ended)) {
    connection.to.client.send(rstStreamFrame(id, http2Errors.cancel));
  }
}

/** The gateway has ended both messages. A side that has not ended its own half is asked to (RFC 9113 section 8.1). */
export function askToEnd(connection: Http2Connection, { id, isClientDone, isOriginDone }: Http2Stream): void {
  for (const side of ['client', 'origin'] as const) {
    if (side === 'client' ? isClientDone : isOriginDone) continue;
    connection.to[side].send(rstStreamFrame(id, http2Errors.noError));
    connection.late[side].add(id);
  }
}
