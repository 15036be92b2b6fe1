import {Flags} from '@oclif/core'
import {usageError} from './failure.ts'
import {readSecretFile} from './secret-input.ts'

/** Where a backup lies in a bucket. The variables are those of AWS's own tools. */
export const bucketFlags = {
  s3: Flags.string({description: 'an object of a bucket, instead of a file', helpValue: '<s3://bucket/key>'}),
  endpoint: Flags.string({description: 'server of the bucket; Amazon’s own unless given', env: 'AWS_ENDPOINT_URL'}),
  region: Flags.string({description: 'region of the bucket; us-east-1 unless given', env: 'AWS_REGION'}),
  'access-key': Flags.string({description: 'id of its key', env: 'AWS_ACCESS_KEY_ID'}),
  'secret-file': Flags.string({
    description: 'read the key’s secret from a file; AWS_SECRET_ACCESS_KEY unless given',
    helpValue: '<file>',
  }),
}

interface BucketWords {
  s3?: string
  endpoint?: string
  region?: string
  'access-key'?: string
  'secret-file'?: string
}

/** The file or the object, and how its bucket is reached. */
export async function readBackupPlace(file: string | undefined, flags: BucketWords, env = process.env) {
  const {s3, endpoint, region, 'access-key': accessKeyId, 'secret-file': secretFile} = flags
  if ((file === undefined) === (s3 === undefined))
    throw usageError('Say where the backup lies: FILE, or --s3 s3://BUCKET/KEY.')
  const place = s3 ?? file ?? ''
  if (s3 !== undefined && !s3.startsWith('s3://')) throw usageError(`--s3 must be as s3://BUCKET/KEY; got ${s3}`)
  if (!place.startsWith('s3://')) return {file: place}
  if (env.AWS_SESSION_TOKEN && secretFile === undefined) {
    throw usageError(
      'The key in the environment is a temporary one (AWS_SESSION_TOKEN), which is not taken.',
      'Give a lasting key by --access-key and --secret-file.',
    )
  }
  const secretAccessKey = secretFile === undefined ? env.AWS_SECRET_ACCESS_KEY : await readSecretFile(secretFile)
  return {file: place, bucket: {endpoint, region, accessKeyId, secretAccessKey}}
}
