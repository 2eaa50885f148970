import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PolicyDocument } from '../../src/core/policy.ts';
import type {
  AlarmFacts,
  FlowFacts,
  HttpTransactionFacts,
  MailFacts,
  MessageGroupFacts,
  TransferFacts,
} from '../../src/core/record.ts';
import { LeafStore } from '../../src/flow/leaf-store.ts';
import type { PacketSink } from '../../src/flow/plaintext-export.ts';
import { compilePolicy } from '../../src/flow/policy-snapshot.ts';
import { serveRelay } from '../../src/flow/relay-server.ts';
import { loadOrCreateAuthority } from '../../src/pki/authority.ts';
import { issueLeaf } from '../../src/pki/leaf.ts';
import { freePort } from './gateway.ts';
import { policyDocument } from './policy.ts';

/** A data plane inside the test's own process, with a real authority and a recorder that collects. */
export interface TestDataPlane extends AsyncDisposable {
  readonly port: number;
  readonly caFile: string;
  readonly ca: string;
  readonly flows: readonly FlowFacts[];
  readonly transactions: readonly HttpTransactionFacts[];
  readonly alarms: readonly AlarmFacts[];
  readonly messages: readonly MessageGroupFacts[];
  readonly mails: readonly MailFacts[];
  readonly transfers: readonly TransferFacts[];
  readonly leafsIssued: () => number;
  /** Takes no connection any more, and lets flows end within this time. */
  readonly drain: (timeoutMs: number) => Promise<void>;
}

/** Starts it with the policy of `changes` over the defaults; the listener takes a free port. Decrypted traffic goes to `packets`. */
export async function startDataPlane(
  changes: Partial<PolicyDocument> = {},
  packets?: PacketSink,
): Promise<TestDataPlane> {
  const directory = mkdtempSync(join(tmpdir(), 'daylight-plane-'));
  const authority = await loadOrCreateAuthority(join(directory, 'certs'));
  const port = await freePort();
  const document = policyDocument(changes);
  const listeners = document.listeners.map((listener) => ({ ...listener, listen: { ip: '127.0.0.1', port } }));
  const policy = compilePolicy({ ...document, listeners });
  let issued = 0;
  const leafs = new LeafStore((request) => {
    issued += 1;
    return issueLeaf(authority, request, Date.now());
  }, randomBytes(48));
  const flows: FlowFacts[] = [];
  const transactions: HttpTransactionFacts[] = [];
  const alarms: AlarmFacts[] = [];
  const messages: MessageGroupFacts[] = [];
  const mails: MailFacts[] = [];
  const transfers: TransferFacts[] = [];
  const server = serveRelay({
    policy,
    descriptors: {},
    leafs,
    packets,
    recorder: {
      flowEnd: (flow) => flows.push(flow),
      httpTransaction: (_flow, transaction) => transactions.push(transaction),
      messages: (_flow, group) => messages.push(group),
      mail: (_flow, mail) => mails.push(mail),
      transfer: (_flow, transfer) => transfers.push(transfer),
      alarm: (_flow, alarm) => alarms.push(alarm),
      isWritable: () => true,
      close: async () => {},
    },
  });
  await server.listening;
  return {
    port,
    caFile: join(directory, 'certs', 'ca.pem'),
    ca: authority.certificates,
    flows,
    transactions,
    alarms,
    messages,
    mails,
    transfers,
    leafsIssued: () => issued,
    drain: (timeoutMs) => server.drain(timeoutMs),
    async [Symbol.asyncDispose]() {
      await server.drain(0);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
