import { createHash } from 'node:crypto';
import { type Met, sendMail } from './demo-clients.ts';
import { type DemoRecord, recordClasses } from './demo-records.ts';
import { type DemoScene, recordOfBlocked, recordOfPassed, type Step, type StepOutcome, wordsOf } from './demo-step.ts';
import { describedFile, sampleFiles } from './sample-files.ts';

const rule = 'demo.mail.program';
const report = { subject: 'Quarterly report', filename: 'report.pdf', content: sampleFiles['report.pdf'] };
const invoice = { subject: 'Your invoice', filename: 'invoice.pdf', content: sampleFiles['invoice.pdf'] };
/** Who writes to whom. */
export const envelope = { from: 'anna@shop.example', to: 'ben@partner.example' };

export const mailPasses: Step = {
  id: 'mail-inspected',
  title: 'Mail: a mail with an attachment is read under STARTTLS, and passes',
  async play(scene): Promise<StepOutcome> {
    const met = await send(scene, report);
    const { record, records, claims } = await recordOfPassed(scene, isMail(report));
    const arrived = scene.origins.mail.mails.filter((mail) => mail.includes(`Subject: ${report.subject}`)).length;
    const hash = createHash('sha256').update(report.content).digest('hex');
    const file = record.email?.files?.[0];
    return {
      client: [sentence(report), `gets ${wordsOf(met)}`],
      gateway: seen(record),
      origin: [arrived === 1 ? 'has the mail' : `has the mail ${arrived} times`],
      records,
      claims: [
        { says: 'the client is answered 250', holds: met.kind === 'answer' && met.answer.startsWith('250') },
        { says: 'the origin has the mail once', holds: arrived === 1 },
        { says: 'the record names the attachment', holds: file?.name === report.filename },
        { says: 'the record has its true type', holds: file?.mime_type === 'application/pdf' },
        { says: 'the record has its SHA-256', holds: file?.hashes?.[0]?.value === hash },
        ...claims,
      ],
    };
  },
};

export const mailBlocked: Step = {
  id: 'mail-blocked',
  title: 'Mail: an attachment that is a program under the name of a document is blocked',
  async play(scene): Promise<StepOutcome> {
    const { mail: origin } = scene.origins;
    const [mails, bytes] = [origin.mails.length, origin.bytes()];
    const met = await send(scene, invoice);
    const { record, records, found, claims } = await recordOfBlocked(scene, rule, isMail(invoice));
    const arrived = origin.mails.length - mails;
    const reached = origin.bytes() - bytes;
    const words = wordsOf(met);
    return {
      client: [sentence(invoice), `gets ${words}`],
      gateway: [...seen(record), ...found],
      origin: [`got ${arrived} mails, ${reached} bytes of its content`],
      records,
      claims: [
        {
          says: `the client is answered 550 with the rule ${rule}`,
          holds: met.kind === 'failed' && words.startsWith('550') && words.includes(rule),
        },
        { says: 'no byte of the mail reaches the origin', holds: arrived === 0 && reached === 0 },
        ...claims,
      ],
    };
  },
};

type Mail = typeof report | typeof invoice;

function send({ gateway, ca }: DemoScene, { subject, filename, content }: Mail): Promise<Met<string>> {
  const attachments = [{ filename, content }];
  return sendMail(gateway.mail, ca, { ...envelope, subject, text: 'Please find it attached.', attachments });
}

function isMail({ subject }: Mail): (record: DemoRecord) => boolean {
  return ({ class_uid, email }) => class_uid === recordClasses.mail && email?.subject === subject;
}

function sentence({ subject, filename }: Mail): string {
  return `sends a mail from ${envelope.from} to ${envelope.to}: "${subject}", ${filename} attached`;
}

function seen({ email, unmapped }: DemoRecord): readonly string[] {
  const { from = '', to = [] } = unmapped?.gateway?.mail ?? {};
  return [
    `reads the envelope (${from} to ${to.join(', ')}) and the subject "${email?.subject ?? ''}"`,
    ...(email?.files ?? []).map((file) => `attached: ${describedFile(file)}`),
  ];
}
