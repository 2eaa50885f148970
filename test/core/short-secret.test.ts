import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maskSensitive } from '../../src/core/sensitive.ts';
import { maskCodeAtEnd } from '../../src/core/short-secret.ts';
import { isSuspect } from '../../src/records/screen.ts';

/** The example of RFC 6749 section 4.1.2. */
const code = 'SplxlOBeZQQYbYS6WxSbIA';

describe('codes of OAuth', () => {
  test.each([
    [`/cb?code=${code}&state=xyz`, '/cb?code=****&state=xyz'],
    ['/cb?code=abc&state=xyz', '/cb?code=****&state=xyz'],
    ['/cb?state=xyz&code=1234', '/cb?state=xyz&code=****'],
    ['/cb?iss=https%3A%2F%2Fas&code=abc#x', '/cb?iss=https%3A%2F%2Fas&code=****#x'],
    [`/cb?code=${code}`, '/cb?code=****'],
    [`/cb#code=${code}&x=1`, '/cb#code=****&x=1'],
    ['grant_type=authorization_code&code=abc&redirect_uri=x', 'grant_type=authorization_code&code=****&redirect_uri=x'],
    ['code=abc&client_id=x', 'code=****&client_id=x'],
    [
      '/login?next=https%3A%2F%2Fx%2Fcb%3Fcode%3Dabc%26state%3Dx&y=1',
      '/login?next=https%3A%2F%2Fx%2Fcb%3Fcode%3D****%26state%3Dx&y=1',
    ],
    [`/login?next=%252Fcb%253Fcode%253D${code}%2526x%253D1`, '/login?next=%252Fcb%253Fcode%253D****%2526x%253D1'],
    [`{"grant_type":"authorization_code","code":"${code}"}`, '{"grant_type":"authorization_code","code":"****"}'],
    [`{\\"client_id\\":\\"a\\",\\"code\\":\\"${code}\\"}`, '{\\"client_id\\":\\"a\\",\\"code\\":\\"****\\"}'],
    [`<a href="/cb?code=${code}&amp;state=1">`, '<a href="/cb?code=****&amp;state=1">'],
    [
      `<form><input type="hidden" name="code" value="${code}"/><input name="x" value="1">`,
      '<form><input type="hidden" name="code" value="****"/><input name="x" value="1">',
    ],
    [
      '--b\r\nContent-Disposition: form-data; name="client_id"\r\n\r\na\r\n--b\r\nContent-Disposition: form-data; name="code"\r\n\r\nabc\r\n--b--',
      '--b\r\nContent-Disposition: form-data; name="client_id"\r\n\r\na\r\n--b\r\nContent-Disposition: form-data; name="code"\r\n\r\n****\r\n--b--',
    ],
  ])('%j becomes %j', (text, masked) => {
    expect(maskSensitive(text)).toBe(masked);
    expect(isSuspect(text)).toBe(true);
  });

  test.each([
    '/items?code=AB-12&page=2',
    '/error?error_code=404&state=x',
    '/search?country_code=de&state=CA',
    '{"code":"E11000","state":"failed","message":"duplicate"}',
    '{"code":12345678901234567,"client_id":"a"}',
    '{"error":{"code":"invalid_client"},"client_id":"a"}',
    '<code>0a1b2c3d4e5f6a7b8c9d</code>',
    'the code is long; x-www-form-urlencoded',
    '/voucher?code=SUMMER2026',
    '/zip?zip_code=1234567890abcdefgh',
    '<input name="code" value="AB-12">',
  ])('%j stays', (text) => {
    expect(maskSensitive(text)).toBe(text);
  });

  test('what stood around an excerpt tells what its codes are', () => {
    expect(maskSensitive('code=abc&x', 'client_id=a&code=abc&x')).toBe('code=****&x');
    expect(maskSensitive('code=abc&x', 'page=1&code=abc&x')).toBe('code=abc&x');
  });

  test('one that the end of a text cut is masked, although it is short now', () => {
    expect(maskCodeAtEnd('a=1&code=abc')).toBe('a=1&code=****');
    expect(maskCodeAtEnd('a=1&code=abc&b=2')).toBe('a=1&code=abc&b=2');
  });
});

describe('names that are secrets as a whole', () => {
  test.each([
    ['otp=123456&x=1', 'otp=****&x=1'],
    ['user[pin]=1234&x', 'user[pin]=****&x'],
    ['?login_otp=123456', '?login_otp=****'],
    ['?a=b&sig=abc%2Bdef%3D&sv=2024', '?a=b&sig=****&sv=2024'],
    ['/x?to=%2Fb%3Fpin%3D1234%26b%3D1&y=1', '/x?to=%2Fb%3Fpin%3D****&y=1'],
    ['{"pin":1234,"x":"y"}', '{"pin":****,"x":"y"}'],
    ['{"otp" : "123456"}', '{"otp" : "****"}'],
    ['<pin>1234</pin>', '<pin>****</pin>'],
    ['name=joe&pass=hunter2', 'name=joe&pass=****'],
    ['form-data; name="pin"\r\n\r\n1234\r\n--b', 'form-data; name="pin"\r\n\r\n****\r\n--b'],
    ['<input name="pin" value="1234">', '<input name="pin" value="****">'],
    ["<input value='a>b' name='SAMLResponse'>", "<input value='****' name='SAMLResponse'>"],
    ['<meta name="csrf-token" content="abc"/>', '<meta name="csrf-token" content="****"/>'],
    ['/app?ticket=ST-1-9aB3dE6gH9jK2mN-cas', '/app?ticket=****'],
    ['SAMLart=AAQAAMh48%2F1&RelayState=x', 'SAMLart=****&RelayState=x'],
    ['device_code=GmRhmhcxhwAzkoEqiMEg&user_code=WDJB-MJHT', 'device_code=****&user_code=****'],
    ['/x;PHPSESSID=abc', '/x;PHPSESSID=****'],
  ])('%j becomes %j', (text, masked) => {
    expect(maskSensitive(text)).toBe(masked);
    expect(isSuspect(text)).toBe(true);
  });

  test.each([
    '/shopping=1&spin=2&opinions=3',
    '/bypass=1&compass="n"&design="x"',
    '{"spin":1,"signature_kind":1}'.replace('signature_kind', 'sign'),
    '/issues?ticket=ABC-123',
    '<input name="spinner" value="1">',
  ])('%j stays', (text) => {
    expect(maskSensitive(text)).toBe(text);
  });
});

test('the screen lets nothing pass that would be masked', () => {
  const piece = fc.constantFrom(
    ...[
      'code',
      'Code',
      'ticket',
      'otp',
      'PIN',
      'sig',
      'pass',
      'state',
      'client_id',
      'iss',
      'name="',
      "name='",
      '<input ',
    ],
    ...[
      '=',
      '&',
      '?',
      '#',
      '"',
      "'",
      '[',
      ']',
      '<',
      '>',
      '%3D',
      '%26',
      '%3f',
      '%253D',
      ':',
      ' ',
      '\n',
      'a1b2c3d4e5f6g7h8',
      'x',
      '7',
    ],
    ...['value="', '\r\n\r\n', '\\"', '{', ',', '-', '_', '.'],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const text = pieces.join('');
      if (!isSuspect(text)) expect(maskSensitive(text)).toBe(text);
    }),
    { numRuns: 20_000 },
  );
});
