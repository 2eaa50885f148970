/** The rule by which tests of files block what holds the codeword, and a file that it blocks. */
export const codewordRule =
  '- { id: codeword, title: Codeword, action: block, when: { field: ftp.body, contains: falcon-seven } }\n';
export const codewordFile = 'the codeword is falcon-seven\n';
