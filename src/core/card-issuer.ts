/** Whether digits have the prefix and length of a known issuer and a right check digit (ISO/IEC 7812-1 annex B). */
export function isCard(digits: Uint8Array, from: number, to: number): boolean {
  let sum = 0;
  for (let index = to - 1, double = false; index >= from; index--, double = !double) {
    const digit = digits[index] ?? 0;
    sum += double ? (digit > 4 ? digit * 2 - 9 : digit * 2) : digit;
  }
  if (sum % 10 !== 0) return false;
  let prefix = 0;
  for (let index = from; index < from + 6; index++) prefix = prefix * 10 + (digits[index] ?? 0);
  return issuers.some(([low, high, lengths]) => prefix >= low && prefix <= high && lengths.includes(to - from));
}

/** Issuer ranges by their first six digits, and the lengths that the issuer uses. */
const issuers: readonly (readonly [low: number, high: number, lengths: readonly number[]])[] = [
  [220000, 220499, [16, 17, 18, 19]], // Mir
  [222100, 272099, [16]], // Mastercard
  [300000, 305999, [14, 16, 17, 18, 19]], // Diners Club
  [309500, 309599, [14, 16, 17, 18, 19]], // Diners Club
  [340000, 349999, [15]], // American Express
  [352800, 358999, [16, 17, 18, 19]], // JCB
  [360000, 369999, [14, 15, 16, 17, 18, 19]], // Diners Club
  [370000, 379999, [15]], // American Express
  [380000, 399999, [14, 16, 17, 18, 19]], // Diners Club
  [400000, 499999, [13, 16, 19]], // Visa
  [501800, 501899, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [502000, 502099, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [503800, 503899, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [506099, 506198, [16, 18, 19]], // Verve
  [508500, 508999, [16]], // RuPay
  [510000, 559999, [16]], // Mastercard
  [589300, 589399, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [601100, 601199, [16, 17, 18, 19]], // Discover
  [620000, 629999, [16, 17, 18, 19]], // UnionPay, Discover
  [630400, 630499, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [644000, 659999, [16, 17, 18, 19]], // Discover
  [675900, 676399, [13, 14, 15, 16, 17, 18, 19]], // Maestro
  [810000, 817199, [16, 17, 18, 19]], // UnionPay
  [979200, 979299, [16]], // Troy
];
