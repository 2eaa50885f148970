import type { RequestHead, ResponseHead } from '../../src/core/http.ts';
import type { AlarmFacts, FlowFacts, HttpTransactionFacts } from '../../src/core/record.ts';
import type { CertificateFacts, TlsLeg } from '../../src/core/tls.ts';

/** Facts of one intercepted flow with one exchange, fixed, so that records of them can be compared byte by byte. */

export const startMs = Date.UTC(2026, 0, 15, 9, 30, 0);

const minted: CertificateFacts = {
  subject: 'CN=shop.example',
  issuer: 'CN=Daylight CA',
  serialNumber: '5F1D0C8A9B7E4F30A1B2C3D4E5F60718',
  fingerprint256: '3b1f9f3d0c7a5e2846d1b0f9e8c7a6b5d4c3b2a190807f6e5d4c3b2a19080706',
  notBefore: startMs - 3_600_000,
  notAfter: startMs + 72_000_000,
  names: [
    { kind: 'dns', value: 'shop.example' },
    { kind: 'dns', value: '*.shop.example' },
  ],
  selfSigned: false,
};

const real: CertificateFacts = {
  subject: 'CN=shop.example,O=Shop Ltd,C=SE',
  issuer: 'CN=Public CA R3,O=Public CA,C=US',
  serialNumber: '04A1B2C3D4E5F60718293A4B5C6D7E8F',
  fingerprint256: 'a0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9f',
  notBefore: startMs - 2_592_000_000,
  notAfter: startMs + 5_184_000_000,
  names: minted.names,
  selfSigned: false,
};

export const clientLeg: TlsLeg = {
  version: 'TLSv1.3',
  cipher: 'TLS_AES_128_GCM_SHA256',
  alpn: 'http/1.1',
  serverName: 'shop.example',
  resumed: false,
  handshakeMs: 3.4,
  certificate: minted,
};

export const originLeg: TlsLeg = {
  ...clientLeg,
  cipher: 'TLS_AES_256_GCM_SHA384',
  group: 'X25519MLKEM768',
  handshakeMs: 18.7,
  certificate: real,
};

export function flowFacts(changes: Partial<FlowFacts> = {}): FlowFacts {
  return {
    flowId: '01KF0FVWH0FLOW0000000000A1',
    startMs,
    listenerId: 'explicit:127.0.0.1:8080',
    capture: 'explicit',
    via: 'connect',
    client: { ip: '10.1.0.23', port: 51_324 },
    shareKey: '10.1.0.23',
    gateway: { ip: '10.1.0.1', port: 8_080 },
    destination: { host: 'shop.example', port: 443 },
    origin: { ip: '203.0.113.80', port: 443 },
    originLocal: { ip: '192.0.2.10', port: 40_122 },
    asset: { id: 'web-1', kind: 'cvm' },
    policyVersion: '3f9c2a17',
    decision: { kind: 'intercept', reason: 'asset web-1' },
    protocol: 'http/1.1',
    serverName: 'shop.example',
    fingerprints: {
      ja3: '771,4865-4866,0-23-65281,29-23,0',
      ja3Hash: 'cd08e31494f9531f560d64c695473da9',
      ja4: 't13d0203h1_55b375c5d22e_a1b2c3d4e5f6',
    },
    clientTls: clientLeg,
    originTls: originLeg,
    originExceptions: [],
    upstreamProxy: undefined,
    bytesFromClient: 1_420,
    bytesFromOrigin: 5_311,
    transactions: 1,
    alarms: 0,
    failure: undefined,
    failureDetail: '',
    decrypted: true,
    communityId: '1:wCb3OG7yAFWelaUydu0D+125CLM=',
    originCommunityId: '1:LQU9qZlK+B5F3KDmev6m5PMibrg=',
    ...changes,
  };
}

export function requestHead(changes: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    target: '/cart/items?page=2&sort=price',
    version: '1.1',
    host: 'shop.example',
    headers: [
      ['Host', 'shop.example'],
      [
        'User-Agent',
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
      ],
      ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
      ['Accept-Language', 'en-US,en;q=0.5'],
      ['Accept-Encoding', 'gzip, deflate, br'],
      ['Referer', 'https://shop.example/'],
      ['Cookie', 'session=4f2d9c1b7a; theme=dark'],
      ['Connection', 'keep-alive'],
    ],
    framing: { kind: 'none' },
    ...changes,
  };
}

export function responseHead(changes: Partial<ResponseHead> = {}): ResponseHead {
  return {
    status: 200,
    reason: 'OK',
    version: '1.1',
    headers: [
      ['Server', 'nginx/1.24.0'],
      ['Date', 'Thu, 15 Jan 2026 09:30:00 GMT'],
      ['Content-Type', 'text/html; charset=utf-8'],
      ['Content-Length', '1024'],
      ['Connection', 'keep-alive'],
      ['Cache-Control', 'max-age=60'],
    ],
    framing: { kind: 'length', bytes: 1_024 },
    ...changes,
  };
}

/** A page of 1 KB. */
export const page = Buffer.from(
  '<!doctype html><html><head><title>Cart</title></head><body><h1>Your cart</h1><p>Two items, in the order in which they were put in.</p></body></html>\n'
    .repeat(8)
    .slice(0, 1_024),
);

export function transactionFacts(changes: Partial<HttpTransactionFacts> = {}): HttpTransactionFacts {
  return {
    txId: '01KF0FVWH1TX00000000000001',
    depth: 0,
    startMs: startMs + 31,
    endMs: startMs + 58,
    request: requestHead(),
    response: responseHead(),
    outcome: {
      complete: true,
      failure: undefined,
      detail: '',
      requestBodyBytes: 0,
      responseBodyBytes: 1_024,
      requestWireBytes: 412,
      responseWireBytes: 1_221,
    },
    requestExcerpt: undefined,
    responseExcerpt: page,
    notInspected: [],
    verdict: 'allow',
    rule: undefined,
    matches: 0,
    upgradedTo: undefined,
    ...changes,
  };
}

export function alarmFacts(changes: Partial<AlarmFacts> = {}): AlarmFacts {
  return {
    timeMs: startMs + 44,
    match: {
      rule: { id: 'dlp-card-number', title: 'Payment card number in a request', rev: 3 },
      action: 'block',
      severity: 'high',
      field: 'http.request.body',
      offset: 17,
      excerpt: 'card=411111******1111',
      tags: ['dlp', 'pci'],
    },
    txId: '01KF0FVWH1TX00000000000001',
    request: requestHead({ method: 'POST', target: '/checkout' }),
    ...changes,
  };
}

export const writer = { node: 'gateway-1', version: '0.1.0', source: 'gateway-1/relay-0/01KF0FVWGZ' };
