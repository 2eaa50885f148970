/**
 * Keys that nothing is believed from, by SHA-256 of the SubjectPublicKeyInfo, with what is wrong with them. No trust store
 * makes them good. Those that came to be known after 2016 are taken from the list that Chromium blocks.
 */
const publicKeys: Readonly<Record<string, readonly string[]>> = {
  Superfish: ['4bb8f35ba1e126f8dde1b0c420625ed86dce61a7bddadbdea9aba578ff13145e'],
  eDellRoot: ['cdee9f3305572a677e1a6c82dc1e02a35b11cae6a684338c9f37fe1ac8daec23'],
  DSDTestProvider: ['130ad4e0633521290531b6651f5759b0bc7bc656709ff8f365c2143b0389b6f6'],
  'BadSSL MITM Software Test': ['9d40513f43991af39fe413aff7608fc56463827137166547de0a1828d524ae98'],
  'webpack-dev-server': ['2bd1e667ec9ebbe02b9a7da264210c99b3eac1cc9141a0e30e3f623eaccec4e1'],
  'preact-cli': ['680971cb44b0fd56592102a256e85c58e87109ad8044c2b90d8f3c6e9eeab897'],
  'Cyberoam appliances': ['1af56c98ff043ef92bebff54cebb4dd67a25ba956c817f3e6dd3c1e52eb584c1'],
  'Mitel products': [
    '707d364e72ae521431dd953897f9c4846d5b8c324298fe53fbd4ada1f2d1157f',
    '6adb8e3e055460922d1501cb97f94c6a02e39c8f2774ca408825b7b58379dc14',
    '490b6ec6beb2d6034720b5149b6b29cd35515988cc16af854148b07b9b1f8a11',
    'ef551284715232de92e246c323329362b132493bb16b589e4775520beb871a56',
  ],
  'Sennheiser HeadSetup': [
    '0c43ea8bcde9fc3bca165664ac8215567e3489d5393a0c81e1a79141992e1953',
    '8f591f7aa4dc3efe9490c38a4692c9011ed128f1de595569406d77b6fa1f6b4c',
  ],
  'sslip.io': ['7d5e3f50508197b9a478b11340b7dce20a3c4de49c48c9a294158a895c44a21b'],
  'xs4all.nl': ['f2bbe04c5dc70d763e89c5a0527048cd9ecd39eb621e2072ff9a5f8432571aa0'],
  'www.cloudflarechallenge.com': ['962e4b54bb98a7ee5d5feb9633f991d3c3300e9514dade7b0d4f828c794f8e87'],
};

/** Authorities that were made, or misused, to read what others say. */
const abusedKeys: Readonly<Record<string, readonly string[]>> = {
  'Qaznet Trust Network': [
    'b5ba8dd7f89564c2889d3d6453c84998c77824919b64ea0835aa62986591be50',
    '8e12d0cb3b7df3ea2257579489fd8658c95603ea6cf4b73163a41eb7b7e93fee',
    'b13fa2e6131a888a01f3d62056fb0efbe999eb6b6e14927613e02ba8b8fb046e',
  ],
  Trustwave: ['32ecc96f912f96d889e73088cd031c7ded2c651c805016157a23b6f32f798a3b'],
  DCSSI: ['25da1ad58bbfcfb227d8723b1857d4c18e7baa7417b4f9eff9366b5e869f8b39'],
  TurkTrust: [
    '3edbd9ace639ba1a2d4ad04718711fda23e859b2fbf5d137d424045e7919dfb9',
    'c173f0626456ca854ff2a7f0b133a7cf4d0211e552f24b3e33ade8c59f0a424c',
  ],
  'Hacking Team': [
    'c4387d45364a313fbfe79812b35b815d42852ab03b06f11589638021c8f2cb44',
    'ea08c8d45d52ca593de524f0513ca6418da9859f7b08ef13ff9dd7bf612d6a37',
  ],
  DigiNotar: [
    'a903af8c07bb91b0d9e3f3a30c6d53339fc5bd47e5d6bdb476598860c068a024',
    '455b87e96f1cea2f8b6dae0808ec24738fd92b7fd306757198bf389d755c0b6c',
    'f034f642ca1d9e88e9efeafcb15c7c937aa19e04b080f27335e1da70d1ca1201',
    'dd3eeb779bee07f9efdac382408b28d142fa842c78e8bc0e33348d57b92f0583',
    '93ca2d436cae7f68d2b4256ca175c985ce39926dc9f7eeaeecf2f8970fb97802',
    'd34b255b2fe7d1a09656cbab6409f73c796ec7d66af73653ecc39af978297310',
    '7e7058ea35ad4359654159973f560187f16d19c514b939c5055672d1d2a518ac',
  ],
  'BadSSL interception tests': [
    'a4e9af01416e3a029b5d35e5b119de00cfe156c5cf95fc823cf6d05e3c1a8237',
    'b0fcce78c1664e293544c143e3d2689f723f5b6e6317107e163d22ba8069794a',
  ],
};

/** What is wrong with each. */
export const distrustedKeys: ReadonlyMap<string, string> = new Map([
  ...reasons(publicKeys, (owner) => publicKeyOf(owner)),
  ...reasons(abusedKeys, (owner) => `${owner} has been used to intercept traffic of others`),
]);

/** The words for a key that everybody has. */
export function publicKeyOf(owner: string): string {
  return `the private key of ${owner} is public`;
}

function reasons(keys: typeof publicKeys, reason: (owner: string) => string): readonly [string, string][] {
  return Object.entries(keys).flatMap(([owner, hashes]) => hashes.map((key): [string, string] => [key, reason(owner)]));
}
