/** Tags that X.509 and PKCS#12 use (X.690 section 8.1.2), each the whole identifier octet. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag of a context-specific value that wraps another one whole (EXPLICIT), or a constructed IMPLICIT one. */
export function contextConstructed(number: number): number {
  return 0xa0 | number;
}

/** Tag of an IMPLICIT context-specific primitive value. */
export function contextPrimitive(number: number): number {
  return 0x80 | number;
}
