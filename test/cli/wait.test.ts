import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {createServer, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import {text} from 'node:stream/consumers'
import {expect, onTestFinished, test} from 'vitest'
import {waitFor} from '../../src/cli/wait.ts'
import {UnreachableError} from '../../src/client/api-error.ts'
import {operator, program} from '../support/gpuctl.ts'
import {eventually} from '../support/wait.ts'
import {nativeServer, Refusal, sendEvents} from './native-server.ts'

async function person(answers: Record<string, unknown>) {
  const server = await nativeServer(answers)
  return {...(await operator({GPUCTL_SERVER: server.url, GPUCTL_TOKEN: 'secret'})), ...server}
}

/** Answers one after the other; the last one for ever. */
function one(...answers: object[]) {
  let at = 0
  return (_: unknown, response: ServerResponse) => {
    response.writeHead(200, {'content-type': 'application/json'})
    response.end(JSON.stringify(answers[Math.min(at++, answers.length - 1)]))
  }
}

test.each([
  ['task/7', 'completed', 'GET /tasks/7', {id: 't', number: 7, status: 'completed'}, 'task 7 is completed.'],
  ['sites/data', 'active', 'GET /sites/data', {id: 's', name: 'data', status: 'active'}, 'site data is active.'],
  ['backup/9', 'success', 'GET /backups/9', {id: 'b', status: 'SUCCESS'}, 'backup 9 is success.'],
  [
    'runtime/r',
    'approved',
    'GET /runtimes/r',
    {id: 'r', status: 'offline', approval: 'approved'},
    'runtime r is offline.',
  ],
  ['pool/tank', 'online', 'GET /storage/pools/tank', {id: 'p', name: 'tank', status: 'online'}, 'pool tank is online.'],
  ['model/m', 'ready', 'GET /models/m', {id: 'm', status: 'ready'}, 'model m is ready.'],
  ['image/box', 'listed', 'GET /images/box', {id: 'i', name: 'box', listed: true}, 'image box is listed.'],
  ['product/big', 'unlisted', 'GET /specs/big', {id: 's', name: 'big', listed: false}, 'spec big is unlisted.'],
])('%s is waited for until it is %s', async (object, state, route, answer, said) => {
  const {run} = await person({[route]: answer})

  expect(await run(['wait', object, '--for', state, '--timeout', '0'])).toEqual({
    code: 0,
    stdout: `${said}\n`,
    stderr: '',
  })
})

test('a task is waited for to be completed, or what --for says; one that ends otherwise ends with 1', async () => {
  const task = {
    id: 't',
    number: 7,
    type: 'site.create',
    object: 'data',
    progress: null,
    message: 'No room',
    error: null,
  }
  const {run} = await person({
    'GET /tasks/7': one({...task, status: 'pending'}, {...task, status: 'running'}),
    'GET /tasks/8': {...task, number: 8, status: 'failed'},
  })

  expect(await run(['task', 'wait', '7', '--for', 'running', '-q'])).toMatchObject({code: 0, stdout: 't\n'})
  expect(await run(['task', 'wait', '7', '--for', 'failed', '--timeout', '0'])).toMatchObject({
    ...{code: 124, stderr: expect.stringContaining('gpuctl task wait 7 --for failed')},
  })
  expect(await run(['task', 'wait', '8', '--for', 'failed'])).toMatchObject({stdout: 'site.create data: failed.\n'})
  expect(await run(['task', 'wait', '8', '--for', 'running'])).toMatchObject({
    ...{code: 1, stderr: expect.stringContaining('task 8 is failed and will not be running.')},
  })
  expect(await run(['task', 'wait', '8'])).toMatchObject({code: 1, stderr: expect.stringContaining('failed: No room')})
  expect(await run(['task', 'wait', '8', '--for', 'deleted'])).toMatchObject({code: 2})
})

test('a jq program says when it is as wanted', async () => {
  const node = {id: 'n', name: 'gpu-03', status: 'online', admission: 'active', drain: null}
  const {run, asked} = await person({
    'GET /nodes/gpu-03': one({...node, gpusFree: 0}, {...node, gpusFree: 1}, {...node, gpusFree: 2}),
  })

  expect(await run(['wait', 'node/gpu-03', '--for', 'jq=.gpusFree >= 2', '-q'])).toMatchObject({code: 0, stdout: 'n\n'})
  expect(asked.filter(({path}) => path === '/nodes/gpu-03')).toHaveLength(3)
  expect(await run(['wait', 'node/gpu-03', '--for', 'jq=.gpusFree > 7', '--timeout', '0'])).toMatchObject({
    code: 124,
    stderr: expect.stringContaining("gpuctl wait node/gpu-03 --for 'jq=.gpusFree > 7'"),
  })
  expect(await run(['wait', 'node/gpu-03', '--for', 'jq=.gpusFree >'])).toMatchObject({code: 2})
})

test('several are watched side by side; the first that cannot get there ends it, though another still waits', async () => {
  const claim = (name: string, phase: string) => ({id: name, name, status: {phase}})
  const {run, json} = await person({
    'GET /claims/a': one(claim('a', 'Pending'), claim('a', 'Running')),
    'GET /claims/b': one(claim('b', 'Running')),
    'GET /claims/slow': one(claim('slow', 'Pending')),
    'GET /claims/bad': one(claim('bad', 'Failed')),
    'GET /claims/none': new Refusal(404, 'not_found', 'There is no claim none.'),
  })

  expect(await json(['wait', 'claim/a', 'claim/b', '--for', 'running'])).toMatchObject([
    {name: 'a', state: 'running', isThere: true},
    {name: 'b', state: 'running', isThere: true},
  ])
  expect(await run(['wait', 'claim/slow', 'claim/bad', '--for', 'completed', '--timeout', '1m'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('claim bad is failed and will not be completed.'),
  })
  expect(await run(['wait', 'claim/none', '--for', 'running'])).toMatchObject({code: 3})
})

test('an event of its kind wakes the wait, which asks seldom beside it; without a stream it asks by itself', async () => {
  let phase = 'Pending'
  let stream: ServerResponse | undefined
  const answers = {
    'GET /claims/a': (_: unknown, response: ServerResponse) => {
      response.writeHead(200, {'content-type': 'application/json'})
      response.end(JSON.stringify({id: 'a', name: 'a', status: {phase}}))
    },
  }
  const {run, asked} = await person({
    ...answers,
    'GET /events/stream': (_: unknown, response: ServerResponse) => {
      stream = response
      sendEvents(response, [])
    },
  })

  const waiting = run(['wait', 'claim/a', '--for', 'running', '--timeout', '1m'])
  await eventually(() => stream !== undefined && asked.length > 5, {withinMs: 30_000, what: 'the stream'})
  phase = 'Running'
  if (stream) sendEvents(stream, [{data: {number: 1, kind: 'claim', objectId: 'a', type: 'Started'}}])
  expect(await waiting).toMatchObject({code: 0, stdout: 'claim a is running.\n', stderr: expect.any(String)})

  const alone = await person(answers)
  expect(await alone.run(['wait', 'claim/a', '--for', 'running'])).toMatchObject({code: 0})
  phase = 'Pending'
  const late = alone.run(['wait', 'claim/a', '--for', 'running', '--timeout', '1m'])
  await eventually(() => alone.asked.length > 5, {withinMs: 30_000, what: 'looks'})
  phase = 'Running'
  expect(await late).toMatchObject({code: 0})
})

test('a wait outlives a restart of the server; one that stays away ends it with how to go on', async () => {
  const task = {id: 't', number: 7, type: 'site.create', object: 'data', progress: 0, message: 'Making it'}
  let status = 'running'
  const server = createServer((_, response) => {
    response.writeHead(200, {'content-type': 'application/json', connection: 'close'})
    response.end(JSON.stringify({...task, status}))
  })
  const listen = (port: number) => once(server.listen(port, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  await listen(0)
  const {port} = server.address() as AddressInfo
  const {env} = await operator({GPUCTL_SERVER: `http://127.0.0.1:${port}`, GPUCTL_TOKEN: 'secret'})
  const child = spawn(process.execPath, [program, 'task', 'wait', '7'], {env, stdio: 'pipe'})
  const [said, ended] = [text(child.stdout), once(child, 'close')]
  let progress = ''
  child.stderr.setEncoding('utf8').on('data', piece => (progress += piece))
  await eventually(() => progress.includes('Making it'), {withinMs: 30_000, what: 'an answer'})
  server.close()
  await eventually(() => progress.includes('Asking again.'), {withinMs: 30_000, what: 'a server that is away'})
  status = 'completed'
  await listen(port)
  expect([await ended, await said]).toEqual([[0, null], 'site.create data: done.\n'])

  let isAway = false
  const waiting = waitFor<number>({
    async look() {
      if (isAway) throw new UnreachableError('http://control', {code: 'ECONNREFUSED'} as NodeJS.ErrnoException)
      isAway = true
      return 1
    },
    ...{isDone: () => false, describe: () => 'One', goOn: 'gpuctl task wait 7', quiet: true, mostAwayMs: 0},
  })
  await expect(waiting).rejects.toMatchObject({
    ...{code: 'server_unreachable', exitCode: 7, message: expect.stringContaining('nothing listens there')},
    hint: 'When the server is back, go on with `gpuctl task wait 7`.',
  })
})

test('what is gone is deleted; a kind or a state that is none is refused with those that are', async () => {
  const {run, asked} = await person({'GET /sites/data': new Refusal(404, 'not_found', 'There is no site data.')})

  expect(await run(['wait', 'site/data', '--for', 'deleted'])).toMatchObject({
    code: 0,
    stdout: 'site data is deleted.\n',
  })
  asked.length = 0
  expect(await run(['wait', 'cloud/a', '--for', 'online'])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/cloud\/a is not KIND\/NAME.*\n.*kinds are backup, claim, image, instance/),
  })
  expect(await run(['wait', 'task/7', '--for', 'online'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('It is one of pending, running, completed, failed, or jq=EXPR.'),
  })
  expect(asked).toEqual([])
})
