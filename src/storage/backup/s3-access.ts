import type {TargetAccess} from '../../contract/storage-protocol.ts'
import {StorageError} from '../driver.ts'

export type S3Access = Extract<TargetAccess, {type: 's3'}>

/** What may stand in a request: a host, a path, or one word of its signature, and nothing that ends it (security T15). */
const grammar: Readonly<Record<Exclude<keyof S3Access, 'type'>, readonly [RegExp, string]>> = {
  endpoint: [
    /^https?:\/\/[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?\/?$/,
    'http or https with a host, as https://s3.example.com',
  ],
  region: [/^[a-z0-9-]{1,40}$/, 'small letters, digits and dashes'],
  bucket: [/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, '3 to 63 small letters, digits, dots and dashes'],
  prefix: [/^([A-Za-z0-9][A-Za-z0-9._-]{0,62}\/){0,8}$/, 'folders, each with a slash behind it'],
  // Comma and equals sign divide the header that it stands in.
  accessKeyId: [/^[\x21-\x2b\x2d-\x3c\x3e-\x7e]{1,256}$/, 'printable, without blanks, commas and equals signs'],
  secretAccessKey: [/^[\x21-\x7e]{1,256}$/, 'printable, without blanks'],
}

/** The endpoint without its slash. Throws StorageError; no value is in its words, for one of them is a secret. */
export function checkedAccess(access: S3Access): S3Access {
  for (const [field, [pattern, words]] of Object.entries(grammar)) {
    const value = access[field as keyof typeof grammar]
    if (typeof value === 'string' && pattern.test(value) && (field !== 'endpoint' || URL.canParse(value))) continue
    throw new StorageError('invalid', `The ${field} of the bucket is not right: ${words}.`)
  }
  return {...access, endpoint: access.endpoint.replace(/\/$/, '')}
}
