import {execFile} from 'node:child_process'
import {createHash} from 'node:crypto'
import {chmod, mkdir, readdir, symlink, writeFile} from 'node:fs/promises'
import {request} from 'node:http'
import {dirname, join} from 'node:path'
import {promisify} from 'node:util'
import {expect, onTestFinished, test} from 'vitest'
import {installScript} from '../../src/server/install-script.ts'
import {controlPlane} from '../support/control-plane.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

/** `curl URL/install.sh | sh` on a machine that has node, and nothing of ours. */
async function install(url: string, prefix: string, path = `${dirname(process.execPath)}:/usr/bin:/bin`) {
  const env = {PATH: path, GPUCTL_PREFIX: prefix, HOME: prefix}
  return promisify(execFile)('/bin/sh', ['-c', `/usr/bin/curl -fsS ${url}/install.sh | /bin/sh`], {env, cwd: '/'}).then(
    ({stdout, stderr}) => ({code: 0, stdout, stderr}),
    ({code, stdout, stderr}) => ({code, stdout, stderr}) as {code: number; stdout: string; stderr: string},
  )
}

test('the script of a server installs that server’s program, again over itself, and it runs', {
  timeout: 120_000,
}, async () => {
  const plane = await controlPlane()
  const prefix = await temporaryDirectory('gpuctl-prefix-')

  expect(await install(plane.url, prefix)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`gpuctl agent start --server ${plane.url}`),
  })
  const again = await install(plane.url, prefix)

  expect(again).toMatchObject({code: 0, stderr: ''})
  expect((await readdir(join(prefix, 'lib'))).sort()).toEqual(['gpuctl', 'gpuctl.former'])
  const env = {PATH: dirname(process.execPath), HOME: prefix, GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken}
  const run = (...args: string[]) => promisify(execFile)(join(prefix, 'bin', 'gpuctl'), args, {env, cwd: '/'})
  expect(JSON.parse((await run('whoami', '-o', 'json')).stdout)).toMatchObject({username: 'admin'})
  // With its native packages: SQLite and Argon2 for a store of its own.
  const {stdout} = await run('server', 'init', '--non-interactive', '--data', join(prefix, 'data'), '-o', 'json')
  expect(JSON.parse(stdout)).toMatchObject({store: 'sqlite'})
})

test('the script leaves nothing behind where it cannot go on, and says why', {timeout: 60_000}, async () => {
  const plane = await controlPlane()
  const prefix = await temporaryDirectory('gpuctl-prefix-')
  const tools = join(prefix, 'tools')
  await mkdir(tools)
  for (const name of ['id', 'mkdir', 'mktemp', 'rm', 'sha256sum', 'tar', 'curl', 'cat', 'mv', 'ln', 'gzip'])
    await symlink(`/usr/bin/${name}`, join(tools, name))

  expect(await install(plane.url, prefix, tools)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('there is no node in PATH'),
  })
  await writeFile(join(tools, 'node'), `#!/bin/sh\n[ "$1" = -e ] && exit 1\necho v18.0.0\n`)
  await chmod(join(tools, 'node'), 0o755)
  expect(await install(plane.url, prefix, tools)).toMatchObject({code: 1, stderr: expect.stringContaining('v18.0.0')})
  await writeFile(join(tools, 'node'), `#!/bin/sh\n[ "$1" = -p ] && echo linux-s390x\nexit 0\n`)
  expect(await install(plane.url, prefix, tools)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('this machine is linux-s390x'),
  })
  const script = installScript({
    ...{server: plane.url, version: '0.1.0', checksum: createHash('sha256').update('x').digest('hex')},
    platform: `${process.platform}-${process.arch}`,
  })
  const path = join(prefix, 'install.sh')
  await writeFile(path, script)
  const env = {PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, GPUCTL_PREFIX: prefix}
  await expect(promisify(execFile)('/bin/sh', [path], {env})).rejects.toMatchObject({
    stderr: expect.stringContaining('is not the one that the script was written for'),
  })
  expect(await readdir(join(prefix, 'lib'))).toEqual([])
})

test('no Host of a stranger gets into the script', async () => {
  const plane = await controlPlane()
  const {port} = new URL(plane.url)
  const ask = (host: string) =>
    new Promise<{status: number; text: string}>((resolve, reject) => {
      const call = request({port, host: '127.0.0.1', path: '/install.sh', headers: {host}}, async reply => {
        let text = ''
        for await (const piece of reply.setEncoding('utf8')) text += piece
        resolve({status: reply.statusCode ?? 0, text})
      })
      call.once('error', reject)
      call.end()
    })
  onTestFinished(() => plane.stop())

  for (const host of ['evil.example', `localhost:1'; id; '`, 'localhost:$(id)', '[::1]x', "a'b", 'localhost/x'])
    expect([host, (await ask(host)).status]).toEqual([host, expect.toSatisfy(status => status >= 400)])
  expect((await ask('LOCALHOST:99')).text).toContain("server='http://localhost:99'\n")
  for (const server of [`http://a';id;'`, 'http://a b', 'ftp://a', 'http://a/$(id)'])
    expect(() => installScript({server, version: '1', platform: 'linux-x64', checksum: 'a'.repeat(64)})).toThrow(
      'cannot',
    )
})
