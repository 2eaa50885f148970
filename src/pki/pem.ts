/** Text form of DER under a label such as `CERTIFICATE` (RFC 7468). */
export function pemOf(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der.buffer, der.byteOffset, der.byteLength)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** DER of every certificate in PEM text, in order; undefined where a block is not base64. Text between blocks is skipped. */
export function certificatesInPem(text: string): readonly (Buffer | undefined)[] {
  const blocks = text.matchAll(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([^-]*)(?:-----END|$)/g);
  return [...blocks].map(([, body = '']) => {
    const base64 = body.replace(/\s+/g, '');
    return base64 !== '' && /^[A-Za-z0-9+/]+={0,2}$/.test(base64) ? Buffer.from(base64, 'base64') : undefined;
  });
}
