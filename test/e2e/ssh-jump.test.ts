import {readFileSync} from 'node:fs'
import {appendFile, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, type TestContext, test} from 'vitest'
import {need} from '../support/skips.ts'
import {sshPlace} from '../support/ssh-place.ts'

/**
 * Dropbear runs in `train`, and `config` leads there through the jump host. OpenSSH's sshd calls chroot(2) at each login,
 * which our containers may not.
 */
async function serverInside(context: TestContext) {
  need(context, 'dropbear')
  const place = await sshPlace(context)
  const {client} = place
  const at = (name: string) => join(client.folder, name)
  await client.ssh('ada+train', ['umask 077; cat > /root/.ssh/authorized_keys'], {input: client.publicKey})
  const started = await client.ssh('ada+train', ['/usr/sbin/dropbear -R -E -s -p 2222 2> /tmp/dropbear.log'])
  expect(started).toEqual({code: 0, stdout: '', stderr: ''})
  await writeFile(at('known-inside'), '')
  const inside = `UserKnownHostsFile ${at('known-inside')}\n StrictHostKeyChecking accept-new`
  const hosts = [
    `Host train\n Port 2222\n User root\n ${inside}`,
    `Host jump\n HostName 127.0.0.1\n Port ${client.port}\n User ada\n UserKnownHostsFile ${at('known_hosts')}`,
    `Host *\n IdentityFile ${at('id')}\n IdentitiesOnly yes\n LogLevel ERROR\n GlobalKnownHostsFile /dev/null`,
  ]
  await writeFile(at('config'), `${hosts.join('\n')}\n`)
  return {...place, at, config: ['-F', at('config'), '-J', 'jump']}
}

test('ssh -J logs in to a server inside the instance, with its own account, key and exit code', async context => {
  const {client, config, at} = await serverInside(context)

  const run = await client.run('ssh', [...config, 'train', 'echo in $SSH_CONNECTION; cat; echo err >&2; exit 6'], {
    input: 'through two doors\n',
  })
  // The end of the login is at the inner server: a key that it does not know opens the jump host only.
  await client.ssh('ada+train', [': > /root/.ssh/authorized_keys'])
  const refused = await client.run('ssh', [...config, '-o', 'BatchMode=yes', 'train', 'true'])

  expect(run).toMatchObject({code: 6, stderr: 'err\n'})
  expect(run.stdout).toMatch(/^in .* 2222\nthrough two doors\n$/)
  expect(refused).toMatchObject({code: 255, stdout: '', stderr: expect.stringContaining('Permission denied')})
  // What the client saw inside is not the key of the jump host.
  expect(await readFile(at('known-inside'), 'utf8')).toMatch(/^\[train\]:2222 /m)
})

test('scp -J carries a file to a server inside the instance and back', async context => {
  const {client, config, at} = await serverInside(context)
  const bytes = Buffer.alloc(4_000_000, 'a line of many\n')
  await writeFile(at('there'), bytes)

  for (const flags of [[], ['-O']]) {
    const up = await client.run('scp', ['-q', ...flags, ...config, at('there'), 'train:/tmp/there'])
    const down = await client.run('scp', ['-q', ...flags, ...config, 'train:/tmp/there', at('back')])

    expect([flags, up, down.code]).toEqual([flags, {code: 0, stdout: '', stderr: ''}, 0])
    expect(readFileSync(at('back')).equals(bytes)).toBe(true)
    await appendFile(at('back'), 'x')
  }
})
