import {readFileSync} from 'node:fs'
import type {ServerResponse} from 'node:http'
import {describe, expect, test} from 'vitest'
import {skewOf} from '../../src/cli/version-skew.ts'
import {controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {nativeServer} from './native-server.ts'

const {version} = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {version: string}
const [major = 0, minor = 0] = version.split('.').map(Number)
const next = {minor: `${major}.${minor + 1}.0`, major: `${major + 1}.0.0`, patch: `${major}.${minor}.999`}

/** A server that says it has this version, and a person whose stderr is a terminal. */
async function person(serverVersion: string, env: NodeJS.ProcessEnv = {}) {
  const answer = (body: object) => (_: unknown, response: ServerResponse) => {
    response.writeHead(200, {'content-type': 'application/json', 'x-gpuctl-version': serverVersion})
    response.end(JSON.stringify(body))
  }
  const found = {version: serverVersion, api: 'v1', serverId: 's'}
  const server = await nativeServer({
    'GET /nodes': answer([]),
    'GET /version': answer(found),
    'POST /nodes/a/cordon': answer({id: 'n', name: 'a'}),
  })
  return operator({GPUCTL_SERVER: server.url, GPUCTL_TOKEN: 'secret', GPUCTL_FORCE_TTY: '1', NO_COLOR: '1', ...env})
}

const notice = /Notice: The server has gpuctl \S+, this is \S+: bring the older/

describe('a server of another minor version', () => {
  test('is told of on a terminal, once a day', async () => {
    const {run} = await person(next.minor)

    expect(await run(['node', 'list'])).toMatchObject({code: 0, stderr: expect.stringMatching(notice)})
    const again = await run(['node', 'list'])
    expect(again.code).toBe(0)
    expect(again.stderr).not.toMatch(notice)
  })

  test.each([
    ['without a terminal', {GPUCTL_FORCE_TTY: ''}, []],
    ['with GPUCTL_NO_UPDATE_NOTIFIER', {GPUCTL_NO_UPDATE_NOTIFIER: '1'}, []],
    ['with -q', {}, ['-q']],
  ])('is not told of %s', async (_, env, more) => {
    const {run} = await person(next.minor, env)

    const {code, stderr} = await run(['node', 'list', ...more])
    expect(code).toBe(0)
    expect(stderr).not.toMatch(/Notice/)
  })

  test('is no news where only the patch is another', async () => {
    const {run} = await person(next.patch)

    expect((await run(['node', 'list'])).stderr).not.toMatch(/Notice/)
    expect(await run(['version'])).toMatchObject({code: 0, stdout: expect.not.stringContaining('Fit')})
  })
})

test('a server of another major version is an error, with a terminal or without; a change that was made is told first', async () => {
  const {run} = await person(next.major, {GPUCTL_FORCE_TTY: ''})

  expect(await run(['node', 'list', '-o', 'json'])).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('"version_incompatible"'),
  })
  expect(await run(['node', 'cordon', 'a'])).toEqual({
    code: 0,
    stdout: 'a gets no new work.\n',
    stderr: `Warning: The server has gpuctl ${next.major}, this is ${version}: they do not fit.\n`,
  })
  expect(await run(['version', '-o', 'json'])).toMatchObject({
    ...{code: 1, stdout: expect.stringContaining('"compatible": false')},
  })
  expect((await run(['doctor', '-o', 'csv'])).stdout).toMatch(/^error,version,/m)
})

test.each([
  ['0.1.0', '0.1.9', 'none'],
  ['0.1.0', '0.2.0', 'minor'],
  ['1.2.0-rc.1', '1.3.0', 'minor'],
  ['1.2.0', '2.2.0', 'major'],
  ['1.2.0', 'unknown', 'none'],
])('%s and %s: %s', (own, server, kind) => {
  expect(skewOf({own, server})).toBe(kind)
})

test('the native API tells the version of the server in each answer, refusals too; the foreign APIs do not', async () => {
  const plane = await controlPlane()
  const told = async (path: string) => (await fetch(`${plane.url}${path}`)).headers.get('x-gpuctl-version')

  expect(await told('/gpuctl/v1/version')).toMatch(/^\d+\.\d+\.\d+/)
  expect(await told('/gpuctl/v1/nodes')).toMatch(/^\d+\.\d+\.\d+/)
  expect(await told('/v0/health')).toBeNull()
})
