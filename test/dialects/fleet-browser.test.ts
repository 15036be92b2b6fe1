import {once} from 'node:events'
import {type AddressInfo, createServer} from 'node:net'
import {chromium} from 'playwright-core'
import {expect, onTestFinished, test} from 'vitest'
import {chromiumPath, need} from '../support/skips.ts'
import {eventually} from '../support/wait.ts'
import {fleetPlane} from './fleet-plane.ts'

/** As it stands in document 003. */
const snippet = `
const source = new EventSource(\`/api/v1/metrics/nodes/stats/stream?token=\${token}&interval=5\`);

source.onmessage = (event) => {
  const data = JSON.parse(event.data);
  data.nodes.forEach(node => {
    console.log(\`\${node.hostname}: CPU \${node.cpu_percent}%, Disk \${node.disk_percent}%\`);
  });
};
`

const quiet =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'

test('W6.5-12 F20: the document’s own handler runs in a real page, and never throws, through a restart too', async context => {
  need(context, 'chromium')
  const plane = await fleetPlane({addresses: [{host: '127.0.0.1', port: await freePort()}]})
  const node = await plane.scriptedNode('api.zimpricecheck.com')
  await node.report({cpu_usage: 12, disk_usage: 51, active_backups: 0})
  const {password} = await plane.user('ops', {role: 'node_admin'})
  await plane.server.ok('users.assign', {id: 'ops', node: String(node.id)}, {token: plane.adminToken})
  const {access_token: token} = (await plane.login('ops', password)).json
  const browser = await chromium.launch({executablePath: chromiumPath, args: quiet.split(' ')})
  onTestFinished(() => browser.close())
  const page = await browser.newPage()
  const said: string[] = []
  const thrown: string[] = []
  page.on('console', message => said.push(message.text()))
  page.on('pageerror', error => thrown.push(error.message))
  const html = `<!doctype html><title>stats</title><script>const token = '${token}'; ${snippet}</script>`
  await page.route(`${plane.url}/stats-page`, route => route.fulfill({contentType: 'text/html', body: html}))

  await page.goto(`${plane.url}/stats-page`)
  await eventually(() => said.length >= 1, {withinMs: 15_000, what: 'the first line of the page'})
  await page.evaluate(() => {
    // As the document opens it, and each second instead of every five.
    const fast = new EventSource((source.url as string).replace('interval=5', 'interval=1'))
    fast.onmessage = source.onmessage
  })
  await eventually(() => said.length >= 4, {withinMs: 15_000, what: 'further lines of the page'})

  await plane.whileStopped(async () => undefined)
  const before = said.length
  await eventually(() => said.length >= before + 4, {withinMs: 30_000, what: 'lines after the restart'})

  expect(said[0]).toBe('api.zimpricecheck.com: CPU 12%, Disk 51%')
  expect(new Set(said)).toEqual(new Set([said[0]]))
  expect(thrown).toEqual([])
}, 90_000)

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const {port} = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

declare const source: EventSource
