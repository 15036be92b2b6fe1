import {execFileSync} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {freePort} from '../support/docker.ts'
import {Screen} from '../support/screen.ts'
import {need} from '../support/skips.ts'
import {sshPlace} from '../support/ssh-place.ts'
import {eventually} from '../support/wait.ts'

test('OpenSSH at a real terminal: its size, a new size, an editor line, Ctrl-C and the exit code', async context => {
  need(context, 'tmux')
  const {client} = await sshPlace(context)
  const env = {PATH: process.env.PATH, HOME: client.folder, TERM: 'xterm-256color'}
  const screen = new Screen({cliEnvironment: env}, {columns: 99, rows: 31})
  const line = (text: string) => {
    screen.type(text)
    screen.press('Enter')
  }

  line(`clear; ssh ${client.keyOptions().join(' ')} -p ${client.port} ada+train@127.0.0.1`)
  await screen.shows(/bash-[\d.]+#$/)
  line('clear; stty size')
  await screen.shows(/^31 99$/m)
  screen.resize(90, 25)
  await eventually(async () => {
    line('clear; stty size')
    await screen.shows(/^\d+ \d+$/m)
    return /^25 90$/m.test(screen.text)
  })
  line('clear; echo be""gun; sleep 300')
  await screen.shows(/^begun$/m)
  screen.press('C-c')
  await screen.shows(/\^C/)
  line('echo code=$?')
  await screen.shows(/^code=130$/m)
  screen.type('clear; echo one twp')
  screen.press('BSpace')
  line('o | tr a-z A-Z')
  await screen.shows(/^ONE TWO$/m)
  line('exit 9')
  await screen.shows(/^here>$/m)
  line('echo ended with $?')

  await screen.shows(/^ended with 9$/m)
})

test('64 MB go up and come back by rsync unchanged', async context => {
  const {client} = await sshPlace(context)
  const file = join(client.folder, 'big')
  writeFileSync(file, randomBytes(64 << 20))
  const remote = `ssh ${client.keyOptions().join(' ')} -p ${client.port}`
  const rsync = (from: string, to: string) => client.run('rsync', ['-e', remote, from, to], {withinMs: 60_000})

  expect(await rsync(file, 'ada+train@127.0.0.1:/tmp/big')).toEqual({code: 0, stdout: '', stderr: ''})
  expect(await rsync('ada+train@127.0.0.1:/tmp/big', `${file}-back`)).toEqual({code: 0, stdout: '', stderr: ''})
  execFileSync('cmp', [file, `${file}-back`])
})

test('a shell on standard input with a SOCKS port beside it, as editors open it, serves both', async context => {
  const {client} = await sshPlace(context)
  const dynamic = await freePort()
  await client.ssh('ada+train', ['nc -ll -p 7000 -e echo hello >/dev/null 2>&1 & echo ok'])
  const flags = [...client.keyOptions(), '-T', '-D', `127.0.0.1:${dynamic}`, '-p', String(client.port)]
  const socks = `curl -s -m 5 --socks5-hostname 127.0.0.1:${dynamic} telnet://localhost:7000`
  // The commands come one after the other, and between them the port is used.
  const commands = `echo 'echo one $((40 + 2))'; sleep 0.1; until ${socks} >&2; do sleep 0.1; done; echo 'echo two; exit 3'`
  const quoted = flags.map(flag => `'${flag}'`).join(' ')
  const editor = `{ ${commands}; } | ssh ${quoted} ada+train@127.0.0.1 bash`

  const run = await client.run('sh', ['-c', editor])

  expect(run).toEqual({code: 3, stdout: 'one 42\ntwo\n', stderr: 'hello\n'})
})

test('-R is refused in words, and what else was asked for goes on unless the person wants all or nothing', async context => {
  const {client} = await sshPlace(context)
  const words = (...flags: string[]) => [
    ...['-R', '7001:127.0.0.1:1', '-o', 'LogLevel=INFO', ...flags],
    ...client.keyOptions(['-p', String(client.port)]),
    ...['ada+train@127.0.0.1', 'echo in'],
  ]

  const goesOn = await client.run('ssh', words())
  const allOrNothing = await client.run('ssh', words('-o', 'ExitOnForwardFailure=yes'))

  expect(goesOn).toMatchObject({code: 0, stdout: 'in\n'})
  expect(goesOn.stderr).toMatch(/remote port forwarding failed for listen port 7001/)
  expect(allOrNothing).toMatchObject({code: 255, stdout: ''})
  expect(allOrNothing.stderr).toMatch(/remote port forwarding failed for listen port 7001/)
})
