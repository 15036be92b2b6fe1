import {spawn} from 'node:child_process'
import type {ServerResponse} from 'node:http'
import {expect, onTestFinished, test} from 'vitest'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator, program} from '../support/gpuctl.ts'
import {Screen} from '../support/screen.ts'
import {eventually} from '../support/wait.ts'
import {nativeServer, sendEvents} from './native-server.ts'

/** Runs it in a pipe; what it said so far, and its end at Ctrl-C. */
function watched(args: string[], env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, [program, ...args], {env, stdio: 'pipe'})
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  const said = {stdout: '', stderr: ''}
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', piece => {
      said[name] += piece
    })
  }
  return {
    said,
    lines: <T>() =>
      said.stdout
        .split('\n')
        .filter(Boolean)
        .map(line => JSON.parse(line) as T),
    interrupt: () => {
      child.kill('SIGINT')
      return ended
    },
  }
}

const image = (name: string, listed = true) => ({
  ...{id: name, number: 1, name, address: `${name}:1`, source: '', description: '', memorySplit: false, listed},
  ...{createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z'},
})
const event = (kind: string) => ({number: 1, kind, objectId: 'x', objectName: 'x', type: 'Created', message: ''})

/** A list of images, and a stream of events that the test feeds. */
async function imageServer() {
  const images = [image('first')]
  let stream: ServerResponse | undefined
  const server = await nativeServer({
    'GET /images': images,
    'GET /events/stream': (_: unknown, response: ServerResponse) => {
      stream = response
      sendEvents(response, [])
    },
  })
  return {
    ...server,
    images,
    looks: () => server.asked.filter(({path}) => path.startsWith('/images')).length,
    tell: (kind: string) => stream && sendEvents(stream, [{data: event(kind)}]),
    isFollowed: () => stream !== undefined,
  }
}

test('-w looks again at once when an event tells of what is shown, and not for others', async () => {
  const server = await imageServer()
  const {env} = await operator({GPUCTL_SERVER: server.url, GPUCTL_TOKEN: 'secret'})
  const watch = watched(['image', 'list', '-w', '-o', 'ndjson'], env)
  await eventually(() => server.isFollowed() && server.looks() >= 2, {withinMs: 20_000, what: 'the stream'})

  const startedAt = performance.now()
  const looks = server.looks()
  for (let count = 1; count <= 10; count++) {
    server.images.push(image(`new-${count}`))
    server.tell('image')
    await eventually(() => watch.lines().length === 1 + count, {withinMs: 20_000, what: `line ${1 + count}`})
  }
  const tookMs = performance.now() - startedAt
  for (let count = 0; count < 50; count++) server.tell('user')

  expect(await watch.interrupt()).toBe(130)
  // Beside the events it looks every 5 s; asking once a second it would have needed 10 s.
  const beside = Math.ceil(tookMs / 5_000)
  expect(server.looks() - looks).toBeLessThanOrEqual(10 + beside + 1)
  expect(watch.lines<{name: string}>().map(({name}) => name)).toEqual(server.images.map(({name}) => name))
  expect(watch.said.stderr).toBe('')
})

test('-w asks by itself where the server has no stream, or ends it', async () => {
  const images = [image('first')]
  let isBroken = false
  const server = await nativeServer({
    'GET /images': images,
    'GET /events/stream': (_: unknown, response: ServerResponse) => {
      isBroken = true
      response.writeHead(403, {'content-type': 'application/json'})
      response.end(
        JSON.stringify({error: {code: 'scope_missing', message: 'no', hint: '', details: {}, requestId: 'r'}}),
      )
    },
  })
  const {env} = await operator({GPUCTL_SERVER: server.url, GPUCTL_TOKEN: 'secret'})
  const watch = watched(['image', 'list', '-w', '-o', 'ndjson'], env)
  await eventually(() => isBroken, {withinMs: 20_000, what: 'the refusal'})
  images.push(image('second'))
  await eventually(() => watch.lines().length === 2, {withinMs: 20_000, what: 'the second image'})

  expect(await watch.interrupt()).toBe(130)
})

test('on a terminal -w draws the list anew where it stands; in a pipe a row is added for each change', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 2})
  const {env, json, ok} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const names = (await json<{name: string}[]>(['node', 'list', '--sort', 'name'])).map(({name}) => name)
  const screen = new Screen({
    cliEnvironment: Object.fromEntries(Object.entries(env).flatMap(([name, value]) => (value ? [[name, value]] : []))),
  } as never)
  const watch = watched(['node', 'list', '-w', '-o', 'ndjson'], env)

  screen.run('node list -w --sort name --columns name,status')
  await screen.shows(new RegExp(`${names[0]}\\s+online[\\s\\S]*${names[1]}\\s+online`))
  await eventually(() => watch.lines().length >= 2, {withinMs: 20_000, what: 'both nodes'})
  await ok(['node', 'rename', names[0] as string, 'aaa-renamed'])

  await screen.shows(/aaa-renamed\s+online/)
  const shown = screen.text
  expect(shown.match(/online/g)).toHaveLength(2)
  expect(shown).not.toContain(names[0])
  await eventually(() => watch.lines<{name: string}>().some(({name}) => name === 'aaa-renamed'), {
    withinMs: 20_000,
    what: 'the new name in the pipe',
  })
  screen.press('C-c')
  await screen.shows(/here>\s*$/)
  expect(await watch.interrupt()).toBe(130)
})
