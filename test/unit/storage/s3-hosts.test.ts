import {expect, test} from 'vitest'
import {S3Target} from '../../../src/storage/backup/s3-target.ts'

const key = {accessKeyId: 'a', secretAccessKey: 'b', region: 'us-east-1', bucket: 'backups', prefix: ''}

test.each([
  'http://169.254.169.254',
  'http://169.254.170.2:80',
  'http://0xa9fea9fe',
  'http://2852039166',
  'http://0251.0376.0251.0376',
  'http://169.254.43518',
  'http://0.0.0.0:9000',
  'http://224.0.0.1',
])('T6: a bucket at %s is not asked for, so that no node reads its own metadata', async endpoint => {
  const target = new S3Target({type: 's3', endpoint, ...key})

  const refusal = {name: 'StorageError', code: 'invalid', message: expect.stringContaining('never dialled')}
  await expect(target.size('x.tar.zst')).rejects.toMatchObject(refusal)
  await expect(target.remove('x.tar.zst')).rejects.toMatchObject(refusal)
})
