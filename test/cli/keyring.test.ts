import {execFile} from 'node:child_process'
import {mkdir, readFile, writeFile} from 'node:fs/promises'
import {createServer} from 'node:net'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {expect, onTestFinished, test} from 'vitest'
import {operator, program} from '../support/gpuctl.ts'
import {need} from '../support/skips.ts'
import {nativeServer} from './native-server.ts'

const me = {username: 'ada', role: 'user', expiresAt: null, scopes: ['read'], gpusHeld: 0, gpuQuota: 1}

test('T30: a keyring that never answers is left after 3 seconds; the token goes to the file', async () => {
  const {url} = await nativeServer({'GET /auth/whoami': me})
  const {home} = await operator()
  const path = join(home, 'bus')
  let calls = 0
  const silent = createServer(socket => {
    calls++
    socket.on('error', () => {}).resume()
  })
  await new Promise<void>(resolve => silent.listen(path, resolve))
  onTestFinished(() => new Promise<void>(resolve => silent.close(() => resolve())))
  const environment = {
    GPUCTL_KEYRING: '',
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${path}`,
    GPUCTL_CONFIG_DIR: join(home, 'c'),
  }
  const person = await operator(environment)

  const login = await person.run(['login', url, '--token-stdin', '--context', 'lab'], {
    input: 'secret\n',
    withinMs: 25_000,
  })

  expect(login).toMatchObject({code: 0, stderr: expect.stringContaining('No keyring here')})
  expect(calls).toBeGreaterThan(0)
  expect(await readFile(join(home, 'c', 'credentials.json'), 'utf8')).toContain('secret')
  const demanded = await person.run(['login', url, '--token-stdin', '--storage', 'keyring'], {
    input: 'x',
    withinMs: 25_000,
  })
  expect(demanded).toMatchObject({code: 2, stderr: expect.stringContaining('did not answer within 3 s')})
})

test('T30: with a keyring the token lies there and in no file', async context => {
  need(context, 'keyring')
  const {url, asked} = await nativeServer({'GET /auth/whoami': me})
  const {env, home} = await operator()
  const script = join(home, 'session')
  await mkdir(join(home, 'run'), {mode: 0o700})
  const gpuctl = `'${process.execPath}' '${program}'`
  await writeFile(
    script,
    `set -e
printf 'unlock' | gnome-keyring-daemon --unlock --components=secrets > /dev/null
printf 'secret-7' | ${gpuctl} login '${url}' --token-stdin --context lab
${gpuctl} whoami -o json
${gpuctl} context rename lab far
${gpuctl} context get far -o json
${gpuctl} logout
`,
  )
  const session = {
    ...env,
    GPUCTL_KEYRING: '',
    HOME: home,
    XDG_RUNTIME_DIR: join(home, 'run'),
    XDG_DATA_HOME: join(home, 'data'),
  }

  const {stdout, stderr} = await promisify(execFile)('dbus-run-session', ['--', 'sh', script], {env: session})

  expect(stderr).not.toContain('No keyring')
  expect(stdout).toContain('"tokenFrom": "keyring"')
  expect(stdout.match(/"tokenFrom": "keyring"/g)).toHaveLength(2)
  expect(asked.at(-1)?.headers.authorization).toBe('Bearer secret-7')
  expect(await readFile(join(home, 'config', 'config.yml'), 'utf8')).not.toContain('secret-7')
  await expect(readFile(join(home, 'config', 'credentials.json'))).rejects.toThrow('ENOENT')
})
