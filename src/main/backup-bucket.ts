import {createHash} from 'node:crypto'
import {createReadStream, createWriteStream} from 'node:fs'
import {Readable} from 'node:stream'
import {pipeline} from 'node:stream/promises'
import type {BackupTarget} from '../storage/backup/target.ts'
import {openTarget} from '../storage/backup/targets.ts'
import {StorageError} from '../storage/driver.ts'
import {type BackupPlace, backupFileName} from './backup-place.ts'
import {CannotStart, FlagError} from './settings.ts'

/** How a bucket is reached. */
export interface BucketAccess {
  /** Absent: Amazon's own of the region. */
  endpoint?: string | undefined
  region?: string | undefined
  accessKeyId?: string | undefined
  secretAccessKey?: string | undefined
}

const interrupted = 130

export function isBucketUrl(place: string): boolean {
  return place.startsWith('s3://')
}

/** An object of a bucket, that is not there yet. `folder` is where the file lies meanwhile. Throws CannotStart, FlagError. */
export async function bucketPlace(url: string, access: BucketAccess, folder: string): Promise<BackupPlace> {
  const named = url.endsWith('/') ? `${url}${backupFileName()}` : url
  const {target, name} = await openObject(named, access)
  if ((await inWords(target.size(name))) !== null)
    throw new CannotStart(`${named} is there already.`, 'Give another key, or one that ends with / for a new name.')
  let isOurs = false
  const giveBack = async () => {
    if (isOurs) await target.remove(name)
  }
  return {
    ...{shown: named, folder, giveBack},
    async put(file, {sizeBytes, sha256}) {
      await inWords(
        stoppable(async signal => {
          await target.write(name, createReadStream(file), {expectedBytes: sizeBytes, signal})
          isOurs = true
          const hash = createHash('sha256')
          for await (const piece of target.read(name, {signal})) hash.update(piece)
          if (hash.digest('hex') !== sha256) throw new StorageError('failed', `${named} is not what was sent.`)
        }),
      )
    },
  }
}

/** Copies an object into a new file, mode 0600. Throws CannotStart, FlagError. */
export async function fetchObject(url: string, access: BucketAccess, to: string): Promise<void> {
  if (url.endsWith('/')) throw new FlagError(`${url} names a folder: give the key of one backup.`)
  const {target, name} = await openObject(url, access)
  const write = (signal: AbortSignal) =>
    pipeline(Readable.from(target.read(name, {signal})), createWriteStream(to, {flags: 'wx', mode: 0o600}))
  await inWords(stoppable(write))
}

async function openObject(url: string, access: BucketAccess): Promise<{target: BackupTarget; name: string}> {
  const [, bucket = '', prefix = '', name = ''] =
    /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/((?:[A-Za-z0-9][A-Za-z0-9._-]{0,62}\/){0,8})([A-Za-z0-9][A-Za-z0-9._-]{0,127})$/.exec(
      url,
    ) ?? []
  if (name === '' || name.includes('..')) {
    throw new FlagError(
      `${url} must be s3://BUCKET/KEY: letters, digits, dot, dash and underscore, with slashes between the folders of the key.`,
    )
  }
  const {region = 'us-east-1', endpoint = `https://s3.${region}.amazonaws.com`} = access
  if (!/^https?:\/\/[A-Za-z0-9.-]+(:[0-9]{1,5})?\/?$/.test(endpoint))
    throw new FlagError(`The endpoint of the bucket must be as https://s3.example.com; got ${endpoint}`)
  const {accessKeyId = '', secretAccessKey = ''} = access
  if (accessKeyId === '' || secretAccessKey === '') {
    throw new FlagError(
      `The ${accessKeyId === '' ? 'id' : 'secret'} of the key of the bucket is missing: give --access-key and --secret-file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.`,
    )
  }
  const target = await openTarget({type: 's3', endpoint, region, bucket, prefix, accessKeyId, secretAccessKey})
  return {target, name}
}

/** Ctrl-C takes back what was begun; the second one ends at once. */
async function stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const stop = () => controller.abort()
  process.once('SIGINT', stop)
  try {
    return await work(controller.signal)
  } catch (error) {
    if (!controller.signal.aborted) throw error
    throw new CannotStart('Interrupted.', 'Nothing is left behind.', {exitCode: interrupted, cause: error})
  } finally {
    process.off('SIGINT', stop)
  }
}

async function inWords<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    throw new CannotStart(error.message, 'Look at the address, the bucket and what its key may do.', {cause: error})
  }
}
