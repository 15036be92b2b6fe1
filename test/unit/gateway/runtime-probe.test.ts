import {createServer, type Server} from 'node:net'
import {expect, onTestFinished, test} from 'vitest'
import {HttpRuntimeProbe, type probeLimits} from '../../../src/gateway/runtime-probe.ts'
import {systemClock} from '../../../src/platform/clock.ts'
import {DialGuard} from '../../../src/platform/dial-guard.ts'
import {standInRuntime} from '../../support/stand-in-runtime.ts'

function probeWith(limits: Partial<typeof probeLimits> = {}) {
  return new HttpRuntimeProbe({guard: new DialGuard(), clock: systemClock, limits})
}

const at = (port: number, address = '127.0.0.1') => ({address, port})

/** Answers each connection in its own way; the port as it would be registered. */
async function listener(answer: (write: (text: string) => void) => void): Promise<number> {
  const server: Server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => answer(text => socket.write(text)))
  })
  await new Promise<void>(resolve => server.listen({port: 0, host: '127.0.0.1'}, resolve))
  onTestFinished(() => void server.close())
  return (server.address() as {port: number}).port - 1
}

test('T6: a closed port, a silent one, one that answers nonsense and one that never ends its answer take equally long', async () => {
  const probe = probeWith({perMinuteAndAddress: 100, deadlineMs: 1_000})
  const closed = await standInRuntime()
  await closed.stop()
  const ports = [
    closed.port,
    await listener(() => {}),
    await listener(write => write('SSH-2.0-OpenSSH_9.2\r\n')),
    await listener(write => write('HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{"data":')),
    await listener(write => write('HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n')),
  ]
  const times: number[] = []
  for (const port of ports) {
    const startMs = performance.now()
    await expect(probe.probe(at(port), '127.0.0.1')).rejects.toMatchObject({
      code: 'runtime_unreachable',
      message: 'No inference runtime answers there.',
      details: {},
    })
    times.push(performance.now() - startMs)
  }

  expect((Math.max(...times) - Math.min(...times)) / Math.min(...times)).toBeLessThan(0.05)
})

test('T6: a success is not told before half a second is over', async () => {
  const runtime = await standInRuntime()
  const startMs = performance.now()

  const found = await probeWith().probe(at(runtime.port), '127.0.0.1')

  expect(performance.now() - startMs).toBeGreaterThanOrEqual(499)
  expect(found).toEqual({
    ...{address: '127.0.0.1', models: ['gpt-oss-20b'], initializing: false},
    ready: {ready: 1, total: 1},
  })
  expect(Object.keys(runtime.seen[0]!.headers).sort()).toEqual(['accept', 'connection', 'host'])
})

test('T6: four looks at once, five a minute from one address', async () => {
  const slow = await standInRuntime({delayMs: 100})
  const probe = probeWith({floorMs: 0})
  const look = (caller: string) =>
    probe.probe(at(slow.port), caller).then(
      () => 'found',
      error => error.code,
    )

  const together = await Promise.all([1, 2, 3, 4, 5, 6].map(caller => look(`127.0.0.${caller}`)))
  expect(together).toEqual(['found', 'found', 'found', 'found', 'too_busy', 'too_busy'])
  expect(slow.mostActive()).toBe(4)

  const inTurn: string[] = []
  for (let count = 0; count < 6; count++) inTurn.push(await look('127.0.0.9'))
  expect(inTurn).toEqual(['found', 'found', 'found', 'found', 'found', 'too_many'])
  expect(await look('127.0.0.10')).toBe('found')
})

test('names of models that could harm a terminal or a log are left out', async () => {
  const runtime = await standInRuntime({models: ['good', 'bad\u001b[31m', 'worse\n', '', 'x'.repeat(257)]})

  const {models} = await probeWith({floorMs: 0}).probe(at(runtime.port), '127.0.0.1')

  expect(models).toEqual(['good'])
})
