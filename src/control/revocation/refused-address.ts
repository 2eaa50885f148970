/** The address of a URL is one that may not be asked. */
export class RefusedAddress extends Error {}
