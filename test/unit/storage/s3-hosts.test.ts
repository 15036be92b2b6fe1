import {createServer} from 'node:http'
import {expect, test} from 'vitest'
import {guardedFetch} from '../../../src/storage/backup/guarded-fetch.ts'
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

test('why no answer comes is said in words', async () => {
  const server = createServer((_, response) => response.end())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const {port} = server.address() as {port: number}
  const said = (endpoint: string) => expect(new S3Target({type: 's3', endpoint, ...key}).size('x.tar.zst')).rejects

  await said(`https://127.0.0.1:${port}`).toThrow('it speaks no TLS; perhaps http:// is right.')
  await new Promise(resolve => server.close(resolve))
  await said(`http://127.0.0.1:${port}`).toThrow(`s3://backups/x.tar.zst at 127.0.0.1:${port}: nobody listens there.`)
  await said('http://no-such-host.invalid').toThrow('at no-such-host.invalid: there is no host of this name.')
  await said('http://127.0.0.1:1').toThrow('at 127.0.0.1:1: bad port')
})

test('T6: a name that points to metadata at the second dial is asked once, and a redirect there is not followed', async () => {
  const found = ['127.0.0.1', '169.254.169.254']
  const looked: string[] = []
  const server = createServer((request, response) => {
    response.setHeader('connection', 'close')
    if (request.url === '/away') response.writeHead(302, {location: 'http://169.254.169.254/'})
    response.end('once')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const {port} = server.address() as {port: number}
  const ask = guardedFetch((hostname, _, done) => {
    looked.push(hostname)
    done(null, [{address: found.shift() ?? '', family: 4}])
  })
  try {
    expect(await (await ask(`http://backups.example:${port}/`)).text()).toBe('once')
    const cause = {name: 'StorageError', message: expect.stringContaining('169.254.169.254')}
    await expect(ask(`http://backups.example:${port}/`)).rejects.toMatchObject({cause})
    expect(looked).toEqual(['backups.example', 'backups.example'])
    await expect(ask(`http://127.0.0.1:${port}/away`)).rejects.toThrow()
  } finally {
    server.close()
  }
})
