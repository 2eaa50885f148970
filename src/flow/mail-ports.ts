/** Ports of mail: submission, transfer, LMTP, and what is often used in their place. */
const mailPorts: ReadonlySet<number> = new Set([24, 25, 465, 587, 2525]);

/** Whether mail is to be expected on a port before anybody has spoken. */
export function isMailPort(port: number): boolean {
  return mailPorts.has(port);
}
