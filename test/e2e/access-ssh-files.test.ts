import {execFile} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {mkdir, readFile, writeFile} from 'node:fs/promises'
import {type AddressInfo, connect, createServer} from 'node:net'
import {join} from 'node:path'
import {expect, onTestFinished, type TestContext, test} from 'vitest'
import {toolsImage} from '../support/images.ts'
import {pipe} from '../support/piped.ts'
import {sshPlace} from '../support/ssh-place.ts'
import {sleeper, type WholeFleet} from '../support/whole-fleet.ts'

/** Another address of this machine, where only the API answers. */
async function apiOnly(server: string): Promise<string> {
  const api = new URL(server)
  const relay = createServer(socket => {
    const far = connect(Number(api.port), api.hostname)
    for (const one of [socket, far]) one.on('error', () => {})
    socket.pipe(far).pipe(socket)
  }).listen(0, '::1')
  await once(relay, 'listening')
  onTestFinished(() => void relay.close())
  return `http://[::1]:${(relay.address() as AddressInfo).port}`
}

/** A connection that outlives its command would hide how the next one is made. */
const alone = ['-o', 'ControlMaster=no', '-o', 'ControlPath=none']

test('scp, sftp and rsync reach an instance by the name that `ssh-config write` gives it: through gpuctl, straight, and through the port of the API', async context => {
  const {write, carry} = await person(context)
  const {server} = await write()
  await carry('gpuctl', [])
  await carry('straight', ['-o', 'ProxyCommand=none'])
  await write('-s', await apiOnly(server))
  await carry('api', [])
})

/** Somebody with an ssh configuration of gpuctl, and a few files. */
async function person(context: TestContext) {
  const {fleet} = await sshPlace(context)
  const {name} = await fleet.running({name: 'mine', image: toolsImage, command: sleeper})
  const host = `gpuctl.${name}`
  const at = (file: string) => join(fleet.cliEnvironment.HOME as string, file)
  const bytes = randomBytes(3_000_000)
  await writeFile(at('sent'), bytes)
  await mkdir(at('tree/below'), {recursive: true})
  for (let n = 0; n < 20; n++) await writeFile(at(`tree/below/${n}`), `${n}\n`)

  async function write(...flags: string[]) {
    expect(await pipe(fleet, ['instance', 'ssh-config', 'write', ...flags])).toMatchObject({code: 0})
    return fleet.server
  }

  /** Both ways with each program; `way` is the folder here and there. */
  async function carry(way: string, options: string[]) {
    const flags = ['-F', at('.ssh/config'), ...alone, ...options]
    const fine = async (program: string, args: string[], input = '') => {
      const run = await runProgram(fleet, program, args, input)
      expect([way, program, run]).toMatchObject([way, program, {code: 0, stderr: ''}])
      return run.stdout
    }
    const [there, here] = [`/tmp/${way}`, at(way)]
    await mkdir(here)
    await fine('ssh', [...flags, host, `mkdir ${there}`])
    await fine('scp', ['-q', ...flags, at('sent'), `${host}:${there}/scp`])
    await fine('scp', ['-q', ...flags, `${host}:${there}/scp`, `${here}/scp`])
    await fine('scp', ['-q', '-O', ...flags, `${host}:${there}/scp`, `${here}/scp-O`])
    const batch = `put ${at('sent')} ${there}/sftp\nget ${there}/sftp ${here}/sftp\n`
    await fine('sftp', ['-q', '-b', '-', ...flags, host], batch)
    const rsync = ['-a', '-e', ['ssh', ...flags].join(' ')]
    await fine('rsync', [...rsync, at('tree'), `${host}:${there}/`])
    await fine('rsync', [...rsync, `${host}:${there}/tree`, here])

    for (const file of ['scp', 'scp-O', 'sftp']) {
      expect([way, file, (await readFile(join(here, file))).equals(bytes)]).toEqual([way, file, true])
    }
    expect(await fine('diff', ['-r', at('tree'), `${here}/tree`])).toBe('')
    const inside = `cd ${there}; cmp scp sftp && ls tree/below | wc -l`
    expect(await fine('ssh', [...flags, host, inside])).toBe('20\n')
  }
  return {write, carry}
}

/** Runs a program of this machine as the fleet's administrator would. */
function runProgram(fleet: WholeFleet, file: string, args: string[], input: string) {
  return new Promise<{code: number; stdout: string; stderr: string}>(resolve => {
    const child = execFile(file, args, {env: fleet.cliEnvironment, timeout: 60_000}, (error, stdout, stderr) =>
      resolve({code: error ? Number(error.code) : 0, stdout, stderr}),
    )
    child.stdin?.on('error', () => {}) // it wants no input
    child.stdin?.end(input)
  })
}
