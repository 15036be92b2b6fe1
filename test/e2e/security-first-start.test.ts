import {spawn} from 'node:child_process'
import {chmod, lstat, readdir, readFile, rename, symlink, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {describe, expect, onTestFinished, test} from 'vitest'
import {startNodeAgent} from '../../src/main/node-agent.ts'
import {createLogger} from '../../src/platform/logger.ts'
import {controlPlane} from '../support/control-plane.ts'
import {operator, program} from '../support/gpuctl.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

async function passwordFile(password: string): Promise<{GPUCTL_ADMIN_PASSWORD_FILE: string}> {
  const path = join(await temporaryDirectory(), 'password')
  await writeFile(path, `${password}\n`, {mode: 0o600})
  return {GPUCTL_ADMIN_PASSWORD_FILE: path}
}

describe('the first administrator', () => {
  test.each(['test', '123456', 'admin', 'admin123', 'password', 'changeme', 'Elevenchars', 'aaaaaaaaaaaaaa', ''])(
    'T12: with the password "%s" the server does not listen where others can reach it',
    async password => {
      const env = await passwordFile(password)
      await expect(controlPlane({exposed: true, env})).rejects.toThrow(/too weak/)
    },
  )

  test('T12: `server start` on all addresses ends with an error for each of the documents’ defaults', async () => {
    for (const password of ['test', '123456', 'admin123']) {
      const {run} = await operator(await passwordFile(password))
      const {code, stderr} = await run(['server', 'start', '--listen', '0.0.0.0:0'], {withinMs: 20_000})
      expect(code).toBeGreaterThan(0)
      expect(stderr).toMatch(/too weak/)
      expect(stderr).not.toMatch(/^\s+at /m)
    }
  })

  test('T12: a weak one is good for loopback only', async () => {
    const directory = join(await temporaryDirectory(), 'server')
    const plane = await controlPlane({directory, env: await passwordFile('test')})
    await plane.login('admin', 'test')
    await plane.stop()
    await expect(controlPlane({directory, exposed: true})).rejects.toThrow(/password of admin is too weak/)
  })

  test('T12: a changed password decides at the next start, and so does that of another administrator', async () => {
    const directory = join(await temporaryDirectory(), 'server')
    const weak = await controlPlane({directory, env: await passwordFile('test')})
    const [admin] = await weak.ok<{id: string}[]>('users.list', {}, {token: weak.adminToken})
    await weak.ok('users.update', {id: admin?.id, password: 'Now-it-is-long-enough'}, {token: weak.adminToken})
    await weak.ok('users.create', {username: 'ann', password: 'just-eight'}, {token: weak.adminToken})
    await weak.stop()

    const strong = await controlPlane({directory, exposed: true})
    await strong.login('admin', 'Now-it-is-long-enough')
    await strong.ok('users.update', {id: 'ann', role: 'super_admin'}, {token: strong.adminToken})
    await strong.stop()

    await expect(controlPlane({directory, exposed: true})).rejects.toThrow(/password of ann is too weak/)
  })

  test('T12: without a file it is random, another one each time, told once, and the only way in', async () => {
    const one = await controlPlane({exposed: true})
    const two = await controlPlane()
    expect(one.firstPassword).toMatch(/^[\w-]{20,}$/)
    expect(two.firstPassword).not.toBe(one.firstPassword)
    const tries: [string, string][] = [
      ...([
        ['admin', 'admin'],
        ['admin', 'test'],
        ['admin', '123456'],
        ['admin', ''],
      ] as [string, string][]),
      ...([
        ['root', 'root'],
        ['test', 'test'],
        ['admin', two.firstPassword],
      ] as [string, string][]),
    ]
    for (const [at, [username, password]] of tries.entries()) {
      const {status} = await one.ask('auth.login', {username, password}, {localAddress: `127.0.0.${10 + at}`})
      expect([username, password, [401, 429].includes(status)]).toEqual([username, password, true])
    }
    await one.stop()
    const again = await controlPlane({directory: one.directory})
    expect(again.firstPassword).toBeUndefined()
    const password = (await readFile(join(one.directory, 'first-admin-password'), 'utf8')).trim()
    expect(password).toBe(one.firstPassword)
    await again.login('admin', password)
  })

  test('T12: seven characters are refused for any user, eight will do', async () => {
    const plane = await controlPlane()
    const create = (password: string) =>
      plane.ask('users.create', {username: 'ann', password}, {token: plane.adminToken})

    expect((await create('x7$kQ2a')).status).toBe(400)
    expect((await create('12345678')).status).toBe(400)
    expect((await create('password123')).status).toBe(201)
  })

  test('T12: neither the source nor the built program holds a credential', async () => {
    const texts: [string, string][] = []
    for (const folder of ['bin', 'src', 'dist']) {
      const files = (await readdir(folder, {recursive: true}).catch(() => [])) as string[]
      const isOurs = (name: string) => /\.(ts|c?js|json)$/.test(name) && !name.startsWith('assets/') // those are a library's
      for (const file of files.filter(isOurs)) {
        texts.push([join(folder, file), await readFile(join(folder, file), 'utf8')])
      }
    }
    const literal =
      /\b\w*(?:password|passwd|secret|api_?key|private_?key)['"]?\s*(?:=|:|\?\?|\|\|)\s*(['"`])([^'"`$\s]{4,})\1/gi
    const key =
      /-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\S{16}|\bgp[tjns]_[\w-]{20,}|\$argon2id?\$v=\d+\$[^$]+\$[\w+/]{8,}/g
    const found = texts.flatMap(([file, text]) => [
      ...[...text.matchAll(literal)].map(match => `${file}: ${match[0]}`),
      ...[...text.matchAll(key)].map(match => `${file}: ${match[0]}`),
    ])
    expect(texts.length).toBeGreaterThan(100)
    expect(found).toEqual([])
  })
})

/** Every file and folder below that others on the machine could use. */
async function exposedBelow(folder: string): Promise<{seen: number; exposed: string[]}> {
  const names = (await readdir(folder, {recursive: true})) as string[]
  const exposed: string[] = []
  for (const name of ['.', ...names]) {
    const stats = await lstat(join(folder, name)).catch(() => undefined)
    if (stats && !stats.isSymbolicLink() && (stats.mode & 0o077) !== 0) {
      exposed.push(`${name} ${(stats.mode & 0o777).toString(8)}`)
    }
  }
  return {seen: names.length, exposed}
}

describe('files on disk', () => {
  test('T29: server and agent make none that others can read, whatever the umask of who starts them', async () => {
    const former = process.umask(0)
    onTestFinished(() => void process.umask(former))
    const plane = await controlPlane()
    const agentDirectory = join(await temporaryDirectory(), 'agent')
    const {secret: joinToken} = await plane.ok<{secret: string}>(
      'joinTokens.create',
      {autoApprove: true},
      {token: plane.adminToken},
    )
    const stop = new AbortController()
    const agent = await startNodeAgent({
      server: plane.url,
      directory: agentDirectory,
      version: '0.0.0-test',
      logger: createLogger({level: 'silent'}),
      runtime: 'fake',
      fakeGpus: '1',
      name: 'gpu-1',
      joinToken,
      onJoin: {code: () => {}, waiting: () => {}},
      onLink: () => {},
      signal: stop.signal,
    })
    onTestFinished(async () => {
      stop.abort()
      await agent.stop()
    })
    const claim = await plane.ok<{id: string}>(
      'claims.submit',
      {image: 'any', gpus: {count: 1}},
      {token: plane.adminToken},
    )
    await eventually(async () => {
      const {status} = await plane.ok<{status: {phase: string}}>(
        'claims.get',
        {id: claim.id},
        {token: plane.adminToken},
      )
      return status.phase === 'Running'
    })

    expect(await exposedBelow(plane.directory)).toEqual({seen: expect.any(Number), exposed: []})
    expect(await exposedBelow(agentDirectory)).toEqual({seen: expect.any(Number), exposed: []})
    expect((await exposedBelow(plane.directory)).seen).toBeGreaterThan(6)
    expect((await exposedBelow(agentDirectory)).seen).toBeGreaterThan(2)
  })

  test('T29: after the main job of the built program under umask 000 nothing is open to others', async () => {
    const someone = await operator()
    const underOpenMask = (args: string[]) =>
      new Promise<number | null>((resolve, reject) => {
        const script = 'umask 000; exec "$0" "$@"'
        const child = spawn('sh', ['-c', script, process.execPath, program, ...args], {
          env: someone.env,
          stdio: 'ignore',
        })
        child.once('error', reject).once('close', resolve)
      })
    const up = [
      'up',
      '--detach',
      '--listen',
      '127.0.0.1:0',
      '--ssh-port',
      '0',
      '--runtime',
      'process',
      '--fake-gpus',
      '1',
    ]
    expect(await underOpenMask(up)).toBe(0)
    const [pending] = await someone.json<{code: string}[]>(['node', 'pending'])
    expect(await underOpenMask(['node', 'approve', pending?.code ?? '', '--wait'])).toBe(0)
    const submit = ['claim', 'submit', '--image', 'host', '--gpus', '1', '--name', 'a', '--wait', '--for', 'completed']
    expect(await underOpenMask([...submit, '--', 'sh', '-c', 'echo hello'])).toBe(0)

    for (const folder of ['config', 'data', 'cache']) {
      const path = join(someone.home, folder)
      if (!(await lstat(path).catch(() => undefined))) continue
      expect([folder, (await exposedBelow(path)).exposed]).toEqual([folder, []])
    }
  })

  let kept: string
  async function usedDirectory(): Promise<string> {
    const plane = await controlPlane()
    await plane.stop()
    return plane.directory
  }

  test.each(['token-keys', 'vault-key', 'server.db', '.'])(
    'T29: the server does not start while others can read %s, and says what to do',
    async name => {
      kept = await usedDirectory()
      await chmod(join(kept, name), name === '.' ? 0o750 : 0o640)
      await expect(controlPlane({directory: kept})).rejects.toThrow(/(open to other users|can be read by other users)/)
    },
  )

  test.each(['token-keys', 'vault-key', 'server.db', 'run.json'])(
    'T29: a link planted at %s is refused or replaced, never followed',
    async name => {
      kept = await usedDirectory()
      const target = join(await temporaryDirectory(), 'target')
      const path = join(kept, name)
      await rename(path, target).catch(() => writeFile(target, 'of somebody else', {mode: 0o600}))
      const before = await readFile(target)
      await symlink(target, path)
      const plane = await controlPlane({directory: kept}).catch((error: Error) => error)

      if (!(plane instanceof Error)) expect((await lstat(path)).isSymbolicLink()).toBe(false)
      else expect(plane.message).toMatch(/symbolic link/)
      expect((await readFile(target)).equals(before)).toBe(true)
    },
  )

  test('T29: a folder that is a link, and a password file that others can read, are refused', async () => {
    const directory = join(await temporaryDirectory(), 'server')
    await symlink(await temporaryDirectory(), directory)
    await expect(controlPlane({directory})).rejects.toThrow(/symbolic link/)

    const env = await passwordFile('A-good-long-password')
    await chmod(env.GPUCTL_ADMIN_PASSWORD_FILE, 0o644)
    await expect(controlPlane({env})).rejects.toThrow(/open to other users/)
  })

  test('T29: a local token that others could read is replaced, and the former one opens nothing', async () => {
    const plane = await controlPlane()
    await plane.stop()
    await chmod(join(plane.directory, 'local-token'), 0o644)
    const again = await controlPlane({directory: plane.directory})
    expect(again.adminToken).not.toBe(plane.adminToken)
    expect((await again.ask('auth.whoami', {}, {token: plane.adminToken})).status).toBe(401)
    expect((await again.ask('auth.whoami', {}, {token: again.adminToken})).status).toBe(200)
  })
})
