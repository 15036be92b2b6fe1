import {once} from 'node:events'
import {createServer} from 'node:net'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {freePort} from '../support/docker.ts'
import {operator} from '../support/gpuctl.ts'
import {need} from '../support/skips.ts'
import {SshClient} from '../support/ssh-client.ts'

const up = ['up', '--detach', '--listen', '127.0.0.1:0', '--runtime', 'process', '--fake-gpus', '1']

test('`up` opens the jump host and says where; a key from `key add` leads into an instance of a process node', async context => {
  need(context, 'ssh', 'linux')
  const port = await freePort()
  const someone = await operator()
  const {stdout} = await someone.ok([...up, '--ssh-port', String(port)])
  expect(stdout).toMatch(new RegExp(`SSH jump +127\\.0\\.0\\.1:${port} +SHA256:`))
  const {ssh} = await someone.json<{ssh: {port: number; publicKey: string; fingerprint: string}}>(['server', 'status'])
  expect(ssh).toMatchObject({port, publicKey: expect.stringMatching(/^ssh-ed25519 /)})
  const client = await SshClient.start(ssh)
  const [pending] = await someone.json<{code: string}[]>(['node', 'pending'])
  await someone.ok(['node', 'approve', pending?.code ?? '', '--wait'])
  await someone.ok(['claim', 'submit', '--image', 'host', '--name', 'work', '--wait', '--', 'sleep', '600'])

  const path = join(client.folder, 'id.pub')
  const added = await someone.ok(['key', 'add', path, '--name', 'laptop'])
  expect(added.stdout).toMatch(/^Key laptop is added: SHA256:/)
  expect(await someone.run(['key', 'add', path])).toMatchObject({
    code: 5,
    stderr: expect.stringContaining('The key is there already, as laptop.'),
  })
  expect(await someone.run(['key', 'add', join(client.folder, 'id')])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('is a private key'),
  })
  expect(await someone.json(['key', 'list'])).toMatchObject([{name: 'laptop', type: 'ssh-ed25519', bits: 256}])

  expect(await client.ssh('admin+work', ['echo in $GPUCTL_INSTANCE; exit 3'])).toMatchObject({code: 3, stderr: ''})
  expect((await client.ssh('admin+work', ['tty'], {flags: ['-tt']})).stdout).toMatch(/^\/dev\/pts\/\d+\r\n$/)
  const batch = {input: 'pwd\n'}
  const sftp = ['-q', '-b', '-', '-P', String(port), ...client.keyOptions(), 'admin+work@127.0.0.1']
  expect(await client.run('sftp', sftp, batch)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('directory: /'),
  })

  await someone.ok(['key', 'delete', 'laptop'])
  expect(await client.ssh('admin+work', ['true'])).toMatchObject({code: 255})
  expect(await someone.json(['session', 'list'])).toEqual([])
})

test('`up` says that the port for SSH is taken, and what to do', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  onTestFinished(() => void taken.close())
  const {port} = taken.address() as {port: number}
  const someone = await operator()

  const run = await someone.run([...up, '--ssh-port', String(port)])

  expect(run).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(new RegExp(`127\\.0\\.0\\.1:${port} is taken[\\s\\S]*--ssh-port PORT, or 0`)),
  })
})
