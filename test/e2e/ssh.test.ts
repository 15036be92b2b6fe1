import {execFileSync} from 'node:child_process'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {freePort} from '../support/docker.ts'
import {busyboxImage} from '../support/images.ts'
import {sshPlace} from '../support/ssh-place.ts'
import {openTerminal} from '../support/ssh-shell.ts'
import {eventually} from '../support/wait.ts'
import {sleeper, type WholeFleet} from '../support/whole-fleet.ts'

async function processesOf(fleet: WholeFleet, claim: {id: string}): Promise<string> {
  const {Id} = await fleet.container(claim)
  const {Processes} = (await fleet.docker.getContainer(Id).top()) as {Processes: string[][]}
  return Processes.map(row => row.join(' ')).join('\n')
}

/** Of sshpass, when the password that it gave was wrong. */
const refusedPassword = 5

describe('logging in', () => {
  test('T26 W3.7: by key, by password, by keyboard-interactive; other keys, passwords and people stay out', async context => {
    const {client, password, fleet, ada, adaId} = await sshPlace(context)
    const words = ['echo in']
    const key = (type: string, bits: string, name: string) =>
      execFileSync('ssh-keygen', ['-q', '-t', type, '-b', bits, '-N', '', '-f', join(client.folder, name)])
    const withKey = (name: string) =>
      client.run('ssh', [
        ...client.options([
          '-i',
          join(client.folder, name),
          '-o',
          'IdentitiesOnly=yes',
          '-o',
          'PreferredAuthentications=publickey',
        ]),
        ...['-p', String(client.port), 'ada+train@127.0.0.1', ...words],
      ])

    expect(await client.ssh('ada+train', words)).toMatchObject({code: 0, stdout: 'in\n'})
    expect(
      await client.sshWithPassword('ada+train', password, words, ['-o', 'PreferredAuthentications=password']),
    ).toMatchObject({code: 0, stdout: 'in\n'})
    const interactive = ['-o', 'PreferredAuthentications=keyboard-interactive']
    expect(await client.sshWithPassword('ada+train', password, words, interactive)).toMatchObject({
      code: 0,
      stdout: 'in\n',
    })

    // RSA with SHA-2 and ECDSA keys as well; a key that is not hers, or not hers any more, opens nothing.
    for (const [type, bits] of [
      ['rsa', '3072'],
      ['ecdsa', '384'],
    ] as const) {
      key(type, bits, type)
      expect(await withKey(type)).toMatchObject({code: 255, stderr: expect.stringContaining('Permission denied')})
      await ada.call('keys.create', {
        name: type,
        key: execFileSync('cat', [join(client.folder, `${type}.pub`)], {encoding: 'utf8'}),
      })
      expect(await withKey(type)).toMatchObject({code: 0, stdout: 'in\n'})
    }
    await ada.call('keys.delete', {id: 'rsa'})
    expect(await withKey('rsa')).toMatchObject({code: 255, stdout: ''})
    const wrong = await client.sshWithPassword('ada+train', 'wrong', words)
    expect(wrong).toMatchObject({code: refusedPassword, stdout: ''})
    expect(await client.ssh('eve+train', words)).toMatchObject({code: 255, stdout: ''})

    await fleet.client.call('users.update', {id: adaId, enabled: false})
    expect(await client.ssh('ada+train', words)).toMatchObject({code: 255, stdout: ''})
    expect(await client.sshWithPassword('ada+train', password, words)).toMatchObject({stdout: ''})
  })

  test('T18: an instance of somebody else is as absent as none, for its shell, command and port', async context => {
    const {client, fleet} = await sshPlace(context)
    const {name} = await fleet.running({name: 'not-adas'})

    const [foreign, absent] = [await client.ssh(`ada+${name}`, ['id']), await client.ssh('ada+nothing', ['id'])]

    expect(foreign).toMatchObject({
      code: 255,
      stdout: '',
      stderr: expect.stringContaining('There is no instance not-adas.'),
    })
    expect(absent.stderr).toBe(foreign.stderr.replace('not-adas', 'nothing'))
    const named = await client.ssh('ada', [name, 'id'])
    expect(named).toMatchObject({code: 255, stderr: foreign.stderr})
  })

  test('a viewer gets in nowhere and is told why', async context => {
    const {client, fleet} = await sshPlace(context)
    await fleet.client.call('users.create', {username: 'watcher', password: 'Long-enough-watcher', role: 'viewer'})

    const run = await client.sshWithPassword('watcher+train', 'Long-enough-watcher', ['id'])

    expect(run).toMatchObject({code: 255, stdout: '', stderr: expect.stringContaining('This needs the role user')})
  })
})

describe('commands', () => {
  test('input, output, errors and exit code pass as they are; without a command line the first word names the instance', async context => {
    const {client} = await sshPlace(context)

    expect(await client.ssh('ada+train', ['echo out; echo err >&2; exit 7'])).toEqual({
      code: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    expect(await client.ssh('ada+train', ['cat; echo done'], {input: 'abc\n'})).toMatchObject({
      code: 0,
      stdout: 'abc\ndone\n',
    })
    expect(await client.ssh('ada+train', ['kill -TERM $$'])).toMatchObject({code: 143})
    expect(await client.ssh('ada', ['train', 'echo $0 "a  b"'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/bash a {2}b\n$/),
    })
    expect(
      await client.ssh('ada+train', [], {input: 'shopt -q login_shell && echo login; exit 5\n', flags: ['-T']}),
    ).toMatchObject({code: 5, stdout: 'login\n'})
    expect(await client.ssh('ada+train', ['echo $LANG'], {flags: ['-o', 'SetEnv=LANG=tlh']})).toMatchObject({
      stdout: 'tlh\n',
    })
    // As an editor does it.
    const editor = await client.ssh('ada+train', ['bash'], {
      input: 'uname -s; echo ready\n',
      flags: ['-T', '-D', `127.0.0.1:${await freePort()}`],
    })
    expect(editor).toMatchObject({code: 0, stdout: 'Linux\nready\n'})
  })

  test('16 MB go up and come back unchanged', async context => {
    const {client} = await sshPlace(context)
    const file = join(client.folder, 'big')
    execFileSync('dd', ['if=/dev/urandom', `of=${file}`, 'bs=1M', 'count=16'], {stdio: 'ignore'})
    const ssh = `ssh ${client.keyOptions().join(' ')} -p ${client.port} ada+train@127.0.0.1`

    const up = await client.run('sh', ['-c', `${ssh} 'cat > /tmp/big' < ${file}`], {withinMs: 60_000})
    expect(up).toEqual({code: 0, stdout: '', stderr: ''})
    const down = await client.run('sh', ['-c', `${ssh} 'cat /tmp/big' | cmp - ${file}`], {withinMs: 60_000})
    expect(down).toEqual({code: 0, stdout: '', stderr: ''})
  })

  test('one connection carries several commands', async context => {
    const {client} = await sshPlace(context)
    const control = ['-o', `ControlPath=${join(client.folder, 'control')}`]
    await client.ssh('ada+train', ['true'], {
      flags: [...control, '-o', 'ControlMaster=auto', '-o', 'ControlPersist=20'],
    })

    const runs = await Promise.all(
      [1, 2, 3, 4, 5].map(n => client.ssh('ada+train', [`echo ${n}; exit ${n}`], {flags: control})),
    )

    expect(runs).toEqual([1, 2, 3, 4, 5].map(n => ({code: n, stdout: `${n}\n`, stderr: ''})))
    await client.run('ssh', [
      ...client.keyOptions(control),
      '-O',
      'exit',
      '-p',
      String(client.port),
      'ada+train@127.0.0.1',
    ])
  })

  test('what cannot run says so: no shell in the image, a stopped instance, a node that is gone', async context => {
    const {client, ada, fleet, claim} = await sshPlace(context)
    const bare = await ada.call('claims.submit', {name: 'bare', image: busyboxImage, command: sleeper})
    await fleet.untilClaim(bare.id, ({status}) => status.phase === 'Running')
    const {Id} = await fleet.container(bare)
    await (await fleet.docker.getContainer(Id).exec({Cmd: ['rm', '/bin/sh']})).start({})
    await eventually(async () => {
      const run = await client.ssh('ada+bare', ['id'])
      return (
        run.stderr.includes('gpuctl: bare has no shell. Run a program of it: gpuctl exec bare -- PROGRAM') &&
        run.code !== 0
      )
    })

    // Stopped while somebody is in it.
    const inside = client.ssh('ada+train', ['echo in; sleep 60'])
    await eventually(async () => (await ada.call('sessions.list', {})).length === 1)
    await eventually(async () => (await processesOf(fleet, claim)).includes('sleep 60'))
    await ada.call('instances.stop', {id: 'train', graceSeconds: 0})
    expect(await inside).toEqual({
      code: 137,
      stdout: 'in\n',
      stderr: expect.stringContaining('Instance train was stopped.'),
    })
    await fleet.untilInstance(claim, ({status}) => status === 'exited')
    expect(await client.ssh('ada+train', ['id'])).toMatchObject({
      code: 255,
      stderr: expect.stringContaining('Instance train is exited, not running.'),
    })
    await ada.call('instances.start', {id: 'train'})
    await fleet.untilInstance(claim, ({status}) => status === 'running')

    const lost = client.ssh('ada+train', ['echo in; sleep 60'])
    await eventually(async () => (await ada.call('sessions.list', {})).length === 1)
    await eventually(async () => (await processesOf(fleet, claim)).includes('sleep 60'))
    await fleet.stopAgent()
    expect(await lost).toMatchObject({code: 255, stderr: expect.stringMatching(/^gpuctl: /)})
  })
})

describe('terminals', () => {
  test('a terminal has the size of the window, follows it, and passes Ctrl-C and Ctrl-D', async context => {
    const {client} = await sshPlace(context)
    const terminal = await openTerminal(client, 'ada+train')

    terminal.type('stty size; echo $TERM; tty\r')
    await terminal.until('31 99')
    await terminal.until('xterm')
    await terminal.until('/dev/pts/')
    terminal.channel.setWindow(25, 90, 0, 0)
    terminal.channel.setWindow(0, 0, 0, 0)
    await eventually(async () => {
      terminal.type('stty size\r')
      await terminal.until('25 90', 500)
      return true
    })
    terminal.type('echo be""gun; sleep 100\r')
    await terminal.until('begun')
    terminal.type('\x03')
    await terminal.until('^C')
    await terminal.until('# ')
    terminal.type('echo code=$?\r')
    await terminal.until('code=130')
    terminal.type('exit 9\r')
    await terminal.closed
    expect(terminal.code()).toBe(9)

    const other = await openTerminal(client, 'ada+train')
    await other.until('# ')
    other.type('\x04')
    await other.closed
    expect(other.code()).toBe(0)
  })

  test('ssh without a terminal of its own sends 0×0, which is no size', async context => {
    const {client} = await sshPlace(context)

    const run = await client.ssh('ada+train', ['stty size; echo $TERM; tty; exit 4'], {flags: ['-tt']})

    expect(run.code).toBe(4)
    expect(run.stdout).toMatch(/xterm-256color\r\n\/dev\/pts\/\d+\r\n/)
    const asAtADesk = `stty rows 31 cols 99; ssh -tt ${client.keyOptions().join(' ')} -p ${client.port} ada+train@127.0.0.1 'stty size'`
    expect((await client.run('script', ['-qec', asAtADesk, '/dev/null'])).stdout).toContain('31 99')
  })

  test('W3.7: the menu lists own instances from 0, asks again, goes into one, and is left with q', async context => {
    const {client, ada, fleet, claim} = await sshPlace(context)
    await fleet.running({name: 'not-adas'})
    const {id} = await ada.call('claims.submit', {name: 'eval', image: busyboxImage, command: sleeper})
    await fleet.untilClaim(id, ({status}) => status.phase === 'Running')
    const {containerId} = await fleet.instance(claim)
    const terminal = await openTerminal(client, 'ada')

    const line = new RegExp(`(\\d)  train-${containerId.slice(0, 12)}-gpu-1\\r\\n`)
    await terminal.until('q quits')
    await terminal.until('')
    terminal.type('7x\x7f\r')
    await terminal.until('There is no 7.')
    const other = await openTerminal(client, 'ada')
    const shown = await other.until('q quits')
    expect(shown).toMatch(line)
    expect(shown).toMatch(/^0 {2}/)
    expect(shown).not.toContain('not-adas')
    const index = line.exec(shown)?.[1]
    other.type(`${index}\r`)
    other.type('hostname; stty size; exit 3\r')
    await other.until(containerId.slice(0, 12))
    await other.until('31 99')
    await other.closed
    expect(other.code()).toBe(3)
    terminal.type('q\r')
    await terminal.closed
    expect(terminal.code()).toBe(0)

    const all = await openTerminal(await adminClient(), 'admin')
    expect(await all.until('q quits')).toContain('not-adas')

    async function adminClient() {
      await fleet.client.call('keys.create', {key: client.publicKey})
      return client
    }
  })

  test('W3.7: who has no instance is told so, and the connection closes', async context => {
    const {client, fleet} = await sshPlace(context, {ssh: {emptyMenuMs: 300}})
    await fleet.client.call('users.create', {username: 'new', password: 'Long-enough-new'})

    const run = await client.sshWithPassword('new', 'Long-enough-new', [], ['-tt'])

    expect(run).toMatchObject({code: 0, stdout: expect.stringContaining('You have no instance')})
  })
})
