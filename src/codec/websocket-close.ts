import { isUtf8 } from 'node:buffer';

/** What is wrong with the payload of a Close frame (RFC 6455 sections 5.5.1 and 7.4); empty when nothing is. */
export function closeFault(payload: Buffer): string {
  if (payload.length === 0) return '';
  if (payload.length === 1) return 'a Close frame of one byte';
  const code = payload.readUInt16BE(0);
  if (!isSendable(code)) return `a close code that no peer may send: ${code}`;
  return isUtf8(payload.subarray(2)) ? '' : 'a close reason that is no UTF-8';
}

/** 1004 to 1006 and 1015 stand for what happens without a Close frame; below 3000 only what is registered may be used. */
function isSendable(code: number): boolean {
  if (code >= 3000) return code < 5000;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}
