import { X509Certificate } from 'node:crypto';
import { type Met, post, type WebAnswer } from './demo-clients.ts';
import { originName } from './demo-origins.ts';
import { type DemoRecord, findRecords, recordClasses } from './demo-records.ts';
import { recordOfBlocked, recordOfPassed, type Step, type StepOutcome } from './demo-step.ts';

/** What is posted; `--keep` shows how to post it by hand. */
export const webSamples = {
  order: '{"item":"lamp","pieces":2}',
  card: '{"item":"lamp","card":"4111 1111 1111 1111"}',
} as const;
const rule = 'demo.web.card-number';

export const webPasses: Step = {
  id: 'web-inspected',
  title: 'Web: a request under TLS is read on its way, and passes',
  async play(scene): Promise<StepOutcome> {
    const { origins, gateway, ca } = scene;
    const url = urlOf(origins.web.port, '/orders');
    const met = await post(gateway.proxy, ca, url, webSamples.order);
    const { record, records, claims } = await recordOfPassed(scene, isRequest('/orders'));
    const arrived = origins.web.bodies.includes(webSamples.order);
    const authority = new X509Certificate(ca).subject.replace('CN=', '');
    return {
      client: [`sends POST ${url}  ${webSamples.order}`, told(met)],
      gateway: [
        `reads ${record.http_request?.http_method ?? 'nothing'} ${record.http_request?.url?.path ?? ''} and its body`,
        `between ${record.tls?.version ?? 'nothing'} to the client and ${record.proxy_tls?.version ?? 'nothing'} to the origin`,
      ],
      origin: [arrived ? 'has the order, byte for byte' : 'has no such order'],
      records,
      claims: [
        { says: 'the client is answered 201', holds: met.kind === 'answer' && met.answer.status === 201 },
        { says: `the client is shown a certificate of ${authority}`, holds: issuerOf(met) === authority },
        { says: 'the origin has the order, byte for byte', holds: arrived },
        ...claims,
      ],
    };
  },
};

export const webBlocked: Step = {
  id: 'web-blocked',
  title: 'Web: a request with a card number is blocked',
  async play(scene): Promise<StepOutcome> {
    const { origins, gateway, ca } = scene;
    const url = urlOf(origins.web.port, '/checkout');
    const before = origins.web.bytes();
    const met = await post(gateway.proxy, ca, url, webSamples.card);
    const { records, found, claims } = await recordOfBlocked(scene, rule, isRequest('/checkout'));
    const bytes = origins.web.bytes() - before;
    const isTold = met.kind === 'answer' && met.answer.status === 403 && met.answer.body.includes(rule);
    return {
      client: [`sends POST ${url}  ${webSamples.card}`, told(met)],
      gateway: found,
      origin: [`got ${bytes} bytes of the body`],
      records,
      claims: [
        { says: `the client is answered 403 with the rule ${rule}`, holds: isTold },
        { says: 'no byte of the body reaches the origin', holds: bytes === 0 },
        ...claims,
      ],
    };
  },
};

export const expiredRefused: Step = {
  id: 'origin-refused',
  title: 'Web: an origin whose certificate has expired is refused',
  async play({ origins, gateway, ca, records }): Promise<StepOutcome> {
    const { port } = origins.expired;
    const url = urlOf(port, '/orders');
    const met = await post(gateway.proxy, ca, url, webSamples.order);
    const isFlow = ({ class_uid, unmapped, dst_endpoint }: DemoRecord): boolean =>
      class_uid === recordClasses.flow && unmapped?.gateway?.failure !== undefined && dst_endpoint?.port === port;
    const [found] = await findRecords(records, [isFlow]);
    const failure = found?.record.unmapped?.gateway?.failure;
    const bytes = origins.expired.bytes();
    return {
      client: [`sends POST ${url}  ${webSamples.order}`, told(met)],
      gateway: [`checks the origin before it passes a byte on: ${failure ?? 'nothing wrong'}`],
      origin: [`got ${bytes} bytes of the request`],
      records: found === undefined ? [] : [found],
      claims: [
        { says: 'the client is not answered by the origin', holds: met.kind === 'failed' || met.answer.status >= 500 },
        { says: 'no byte of the request reaches the origin', holds: bytes === 0 },
        { says: 'the record has the failure ORIGIN_CERT_EXPIRED', holds: failure === 'ORIGIN_CERT_EXPIRED' },
      ],
    };
  },
};

function urlOf(port: number, path: string): string {
  return `https://${originName}:${port}${path}`;
}

function isRequest(path: string): (record: DemoRecord) => boolean {
  return ({ class_uid, http_request }) => class_uid === recordClasses.web && http_request?.url?.path === path;
}

function issuerOf(met: Met<WebAnswer>): string {
  return met.kind === 'answer' ? met.answer.issuer : '';
}

function told(met: Met<WebAnswer>): string {
  if (met.kind === 'failed') return `fails: ${met.error}`;
  const { status, reason, issuer } = met.answer;
  return `gets ${status} ${reason}; the certificate is issued by ${issuer}`;
}
