const words: Record<string, string> = {
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the quota of the disk is used up',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a file stands where a folder would have to be',
  EEXIST: 'a file stands where a folder would have to be',
  EISDIR: 'it is a folder',
  EIO: 'input/output error',
}

/** Why the system refuses to read or write a file, as people say it. */
export function wordsOf({code = '', message}: NodeJS.ErrnoException): string {
  return words[code] ?? message
}
