import {generateKeyPairSync} from 'node:crypto'
import {once} from 'node:events'
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import ssh2 from 'ssh2'
import {expect, onTestFinished, test} from 'vitest'
import {joinCluster} from '../../../src/storage/cluster-join.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

/** A machine with SSH whose pvecm asks for the password of a member. */
async function machine() {
  const {privateKey} = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: {type: 'pkcs1', format: 'pem'},
    publicKeyEncoding: {type: 'pkcs1', format: 'pem'},
  })
  const ran: string[] = []
  const answers: string[] = []
  const server = new ssh2.Server({hostKeys: [privateKey]}, client => {
    client.on('error', () => {})
    client.on('authentication', context => {
      if (context.method === 'password' && context.username === 'root' && context.password === 'of-the-new-one') {
        context.accept()
      } else context.reject(['password'])
    })
    client.on('session', accept => {
      const session = accept()
      session.on('pty', ok => ok?.())
      session.on('exec', (ok, _, {command}) => {
        ran.push(command)
        const channel = ok()
        channel.write("root@192.0.2.5's password: ")
        channel.on('data', (piece: Buffer) => {
          answers.push(piece.toString().trim())
          channel.exit(answers.at(-1) === 'of-the-member' ? 0 : 1)
          channel.end()
        })
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const {port} = server.address() as {port: number}
  const key = ssh2.utils.parseKey(privateKey)
  if (key instanceof Error) throw key
  const sshFolder = await temporaryDirectory()
  const trust = (text = key.getPublicSSH().toString('base64')) =>
    writeFile(join(sshFolder, 'known_hosts'), `[127.0.0.1]:${port} ssh-rsa ${text}\n`)
  const env = {GPUCTL_CLUSTER_PASSWORD: 'of-the-new-one', GPUCTL_CLUSTER_MASTER_PASSWORD: 'of-the-member'}
  const join_ = (settings = {}) =>
    joinCluster({address: '127.0.0.1', master: '192.0.2.5'}, {env, sshFolder, port, ...settings})
  return {ran, answers, trust, join: join_}
}

test('W2.3-3: a machine whose key is known is told the member; the password goes where it is asked for alone', async () => {
  const {ran, answers, trust, join} = await machine()
  await trust()
  await join()
  expect(ran).toEqual(['pvecm add 192.0.2.5 --use_ssh 1'])
  expect(answers).toEqual(['of-the-member'])
})

test('a machine whose key is unknown, or another, is told nothing', async () => {
  const {ran, trust, join} = await machine()
  await expect(join()).rejects.toMatchObject({code: 'failed', message: expect.stringContaining('known_hosts')})
  await trust(Buffer.from('another').toString('base64'))
  await expect(join()).rejects.toMatchObject({code: 'failed', message: expect.stringContaining('SSH to 127.0.0.1')})
  expect(ran).toEqual([])
})

test('a refusal says what to set, and holds no password', async () => {
  const {trust, join} = await machine()
  await trust()
  const wrong = {GPUCTL_CLUSTER_PASSWORD: 'of-the-new-one', GPUCTL_CLUSTER_MASTER_PASSWORD: 'a-wrong-one'}
  const error = await join({env: wrong}).catch((reason: Error) => reason)
  expect(error).toMatchObject({code: 'failed'})
  expect(String((error as Error).message)).not.toContain('a-wrong-one')
})
