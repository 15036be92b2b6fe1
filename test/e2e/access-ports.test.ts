import {connect} from 'node:net'
import {text} from 'node:stream/consumers'
import {beforeEach, expect, onTestFinished, test} from 'vitest'
import {launch, untilSaid} from '../support/piped.ts'
import {eventually} from '../support/wait.ts'
import {needEngine, wholeFleet} from '../support/whole-fleet.ts'

beforeEach(needEngine)

const page = 'echo it is me > /www && exec httpd -f -p 8080 -h /'

async function fetchPage(port: string | number): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/www`, {headers: {connection: 'close'}})
  return answer.text()
}

test('local ports reach ports of the instance, many connections at once', async () => {
  const fleet = await wholeFleet()
  const {name} = await fleet.running({command: ['sh', '-c', page]})
  const {child, ended} = launch(fleet, ['instance', 'port-forward', name, ':8080', '0:1'])
  const [, port = ''] = await untilSaid(child, /127\.0\.0\.1:(\d+).*:8080/)
  const [, closed = ''] = await untilSaid(child, /127\.0\.0\.1:(\d+).*:1\b/).catch(() => ['', ''])

  await eventually(async () => (await fetchPage(port)) === 'it is me\n', {what: 'the page'})
  const pages = await Promise.all(Array.from({length: 40}, () => fetchPage(port)))
  await expect(text(connect(Number(closed), '127.0.0.1'))).rejects.toThrow('ECONNRESET')

  expect(new Set(pages)).toEqual(new Set(['it is me\n']))
  child.kill('SIGINT')
  const {code, stderr} = await ended
  expect(code).toBe(130)
  expect(stderr).toContain('Port 1 of the instance cannot be reached: nothing listens there.')
})

test('open carries a port and says the URL of its page', async () => {
  const fleet = await wholeFleet()
  const {name} = await fleet.running({command: ['sh', '-c', page]})
  const {child, ended} = launch(fleet, ['instance', 'open', name, ':8080', '--path', '/www'])
  const [url] = await untilSaid(child, /http:\/\/127\.0\.0\.1:\d+\/www/)

  await eventually(async () => (await (await fetch(url)).text()) === 'it is me\n', {what: 'the page'})
  child.kill('SIGINT')
  expect((await ended).code).toBe(130)
})

test('a forwarded connection is bytes both ways, and half an end of it', async () => {
  const fleet = await wholeFleet()
  const {name} = await fleet.running({command: ['sh', '-c', 'exec nc -ll -p 9000 -e cat']})
  const {child} = launch(fleet, ['port-forward', name, ':9000'])
  const [, port] = await untilSaid(child, /127\.0\.0\.1:(\d+)/)
  const said = 'ä'.repeat(500_000)

  const heard = await eventually(async () => {
    const socket = connect({port: Number(port), host: '127.0.0.1', allowHalfOpen: true})
    onTestFinished(() => void socket.destroy())
    socket.end(said)
    return text(socket)
  })

  expect(heard).toBe(said)
})

test('a port-forward goes on after the server was away', async () => {
  const fleet = await wholeFleet({server: 'process'})
  const {name} = await fleet.running({command: ['sh', '-c', page]})
  const {child} = launch(fleet, ['port-forward', name, ':8080'])
  const [, port = ''] = await untilSaid(child, /127\.0\.0\.1:(\d+)/)
  await eventually(async () => (await fetchPage(port)) === 'it is me\n', {what: 'the page'})

  await fleet.server.stop()
  const waiting = fetchPage(port)
  await fleet.server.startAgain()
  const after = await waiting.catch(() => eventually(() => fetchPage(port), {withinMs: 15_000}))

  expect(after).toBe('it is me\n')
})

test('a local port that is taken is said, and the program ends', async () => {
  const fleet = await wholeFleet()
  const {name} = await fleet.running()
  const taken = new URL(fleet.server.server).port

  const {ended} = launch(fleet, ['port-forward', name, '0:80', `${taken}:80`])

  expect(await ended).toMatchObject({code: 1, stderr: expect.stringContaining(`Port ${taken} of 127.0.0.1 cannot`)})
})
