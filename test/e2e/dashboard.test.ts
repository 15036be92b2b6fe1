import {mkdir, readFile, rm, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {type Browser, chromium, type Page} from 'playwright-core'
import {expect, onTestFinished, test} from 'vitest'
import {type ControlPlane, controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {keyFor, model, runtimeThat} from '../support/inference-world.ts'
import {Screen} from '../support/screen.ts'
import {chromiumPath, need} from '../support/skips.ts'
import {registerRuntime} from '../support/stand-in-runtime.ts'
import {eventually} from '../support/wait.ts'

const quiet =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'

async function openPage(browser: Browser, plane: ControlPlane) {
  const page = await browser.newPage({viewport: {width: 1280, height: 900}})
  const thrown: string[] = []
  page.on('pageerror', error => thrown.push(error.message))
  page.on('console', message => message.text().includes('Content Security Policy') && thrown.push(message.text()))
  await page.goto(`${plane.url}/dashboard`)
  return {page, thrown}
}

async function signIn(page: Page, username: string, password: string) {
  await page.fill('[name=username]', username)
  await page.fill('[name=password]', password)
  await page.click('#login button')
}

const text = (page: Page, id: string) => page.locator(`#${id}`).innerText()
const shows = (page: Page, id: string, words: string) =>
  eventually(async () => (await text(page, id)).includes(words), {withinMs: 20_000, what: `${words} in ${id}`})

test('the dashboard shows the fleet as it changes, and asks for a login first', {timeout: 120_000}, async context => {
  need(context, 'chromium')
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 2, gpus: 1})
  const {password} = await plane.user('boss', {role: 'super_admin'})
  const browser = await chromium.launch({executablePath: chromiumPath, args: quiet.split(' ')})
  onTestFinished(() => browser.close())
  const {page, thrown} = await openPage(browser, plane)

  expect(page.url()).toBe(`${plane.url}/dashboard/`)
  await signIn(page, 'boss', 'Not-the-password')
  await eventually(async () => (await text(page, 'refusal')) !== '', {withinMs: 20_000, what: 'the refusal'})
  await signIn(page, 'boss', password)
  await shows(page, 'nodes', 'sim-0001')
  await shows(page, 'connection', 'live')
  expect(await text(page, 'figures')).toContain('0 of 2 used')
  expect(await text(page, 'queue')).toContain('Nothing waits.')
  expect(await page.locator('#joining').isVisible()).toBe(false)

  const {code} = await plane.joinRequest('gpu-box')
  await shows(page, 'joining', `gpuctl node approve ${code}`)
  const token = plane.adminToken
  for (const name of ['one', 'two', 'three']) {
    await plane.ok('claims.submit', {name, image: 'busybox', gpus: {count: 1}}, {token})
  }
  await shows(page, 'instances', 'one')
  await shows(page, 'figures', '2 of 2 used')
  await shows(page, 'queue', 'three')
  await plane.ok('claims.cancel', {id: 'one'}, {token})
  await shows(page, 'queue', 'Nothing waits.')

  await page.reload()
  await shows(page, 'who', 'boss (super_admin)')

  // `gpuctl open`: its link signs in once, and does not stay in the address.
  const ada = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: await plane.login('boss', password)})
  expect(await ada.json(['open'])).toEqual({url: `${plane.url}/dashboard/`})
  const {url} = await ada.json<{url: string}>(['open', '--link'])
  const linked = await (await browser.newContext()).newPage()
  const asked: string[] = []
  linked.on('request', request => asked.push(request.url()))
  await linked.goto(url)
  await shows(linked, 'who', 'boss (super_admin)')
  expect(linked.url()).toBe(`${plane.url}/dashboard/`)
  expect(asked.filter(address => /gpl_|token=/.test(address.split('#')[0] ?? ''))).toEqual([])
  expect(await linked.context().cookies()).toEqual([])
  const second = await (await browser.newContext()).newPage()
  await second.goto(url)
  await eventually(async () => (await text(second, 'refusal')).includes('opens once'), {
    withinMs: 20_000,
    what: 'the refusal',
  })
  // Whoever came second, the first one is signed out: one of them read what was not meant for him.
  await linked.reload()
  await eventually(() => linked.locator('#login').isVisible(), {withinMs: 20_000, what: 'the login form of the first'})
  await page.click('#logout')
  await eventually(() => page.locator('#login').isVisible(), {what: 'the login form'})
  await page.reload()
  await eventually(() => page.locator('#login').isVisible(), {what: 'the login form after a reload'})
  expect(thrown).toEqual([])
})

test('the playground speaks with a model through /v1 as its reader, shows text as text, and asks no other server', {
  timeout: 120_000,
}, async context => {
  need(context, 'chromium')
  let isHeld = true
  const asked: {body: {messages: object[]}; isCut: boolean}[] = []
  const runtime = await runtimeThat(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const seen = {body: JSON.parse(Buffer.concat(pieces).toString()), isCut: false}
    asked.push(seen)
    response.once('close', () => {
      seen.isCut = !response.writableFinished
    })
    response.writeHead(200, {'content-type': 'text/event-stream'})
    const send = (content: string) => response.write(`data: ${JSON.stringify({choices: [{delta: {content}}]})}\n\n`)
    send('<img src=x onerror=alert(1)> naïve ')
    if (isHeld) await eventually(() => !isHeld || response.destroyed, {withinMs: 60_000, what: 'the end of the wait'})
    send('好.')
    response.end('data: [DONE]\n\n')
  })
  const plane = await controlPlane()
  await registerRuntime(plane, runtime)
  const {key} = await keyFor(plane)
  const {password} = await plane.user('ann', {gpuQuota: 0})
  const browser = await chromium.launch({executablePath: chromiumPath, args: quiet.split(' ')})
  onTestFinished(() => browser.close())
  const page = await browser.newPage()
  const strangers: string[] = []
  page.on('request', request => {
    if (!request.url().startsWith(plane.url) && !request.url().startsWith('data:')) strangers.push(request.url())
  })
  page.on('dialog', dialog => strangers.push(dialog.message()))
  page.on('pageerror', error => strangers.push(error.message))
  page.on('console', message => message.text().includes('Content Security Policy') && strangers.push(message.text()))
  const answers = page.locator('#messages .assistant')
  const say = async (words: string) => {
    await page.fill('#prompt', words)
    await page.press('#prompt', 'Enter')
  }

  await page.goto(`${plane.url}/playground`)
  expect(page.url()).toBe(`${plane.url}/playground/`)
  await page.fill('[name=key]', 'gpt_wrong')
  await page.click('#login button')
  await eventually(async () => (await text(page, 'refusal')) !== '', {withinMs: 20_000, what: 'the refusal'})
  await page.fill('[name=key]', key)
  await page.click('#login button')
  await eventually(() => page.locator('#prompt').isVisible(), {withinMs: 20_000, what: 'the conversation'})
  expect(await page.locator('#model').inputValue()).toBe(model)

  await page.fill('#instructions', 'Be short.')
  await say('Hello?')
  await eventually(async () => (await answers.allInnerTexts()).join().trim() === '<img src=x onerror=alert(1)> naïve', {
    withinMs: 20_000,
    what: 'the first piece before the end',
  })
  isHeld = false
  await eventually(async () => (await answers.last().innerText()).endsWith('naïve 好.'), {
    withinMs: 20_000,
    what: 'the whole answer',
  })
  await eventually(() => page.locator('#send').isEnabled(), {withinMs: 20_000, what: 'the next turn'})
  isHeld = true
  await say('And?')
  await eventually(async () => (await answers.count()) === 2 && (await answers.last().innerText()) !== '', {
    withinMs: 20_000,
    what: 'the second answer',
  })
  await page.click('#stop')
  await shows(page, 'state', 'Stopped.')
  await eventually(() => asked[1]?.isCut, {withinMs: 20_000, what: 'the end of the call at the runtime'})
  expect(asked[1]?.body.messages).toEqual([
    {role: 'system', content: 'Be short.'},
    {role: 'user', content: 'Hello?'},
    {role: 'assistant', content: '<img src=x onerror=alert(1)> naïve 好.'},
    {role: 'user', content: 'And?'},
  ])
  // The key is forgotten here, and lives on.
  await page.click('#logout')
  await eventually(() => page.locator('#login').isVisible(), {withinMs: 20_000, what: 'the login form'})
  expect((await plane.call('GET', '/v1/models', {token: key})).status).toBe(200)

  await signIn(page, 'ann', password)
  await eventually(() => page.locator('#prompt').isVisible(), {withinMs: 20_000, what: 'the conversation of ann'})
  expect(await answers.count()).toBe(0)
  expect(strangers).toEqual([])
})

test('at a terminal `open` and `instance open` give the browser a link and show the address alone', {
  timeout: 60_000,
}, async context => {
  need(context, 'tmux')
  const plane = await controlPlane()
  const {password} = await plane.user('ann')
  const token = await plane.login('ann', password)
  await plane.ok('claims.submit', {name: 'train', image: 'any'}, {token})
  const {env, home} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: token})
  await mkdir(home, {recursive: true})
  const [program, opened] = [join(home, 'browser'), join(home, 'opened')]
  await writeFile(program, `#!/bin/sh\necho "$1" > ${opened}.new; mv ${opened}.new ${opened}\n`, {mode: 0o755})
  const own = Object.entries(env).filter(([name]) => name.startsWith('GPUCTL_'))
  const screen = new Screen({cliEnvironment: {...Object.fromEntries(own), BROWSER: program}})

  screen.run('open')
  const shown = async () => {
    const url = await eventually(() => readFile(opened, 'utf8').catch(() => undefined), {
      withinMs: 20_000,
      what: 'the browser',
    })
    await rm(opened)
    const [page, secret = ''] = url.trim().split('#link=')
    expect(page).toBe(`${plane.url}/dashboard/`)
    expect(screen.text).toContain(page)
    expect(screen.text).not.toContain('gpl_')
    expect(await plane.ok('auth.redeemLink', {secret})).toMatchObject({user: {username: 'ann'}})
  }
  await shown()
  screen.run('instance open train')
  await shown()

  screen.type('export BROWSER=/nowhere GPUCTL_TOKEN=wrong')
  screen.press('Enter')
  screen.run('open')
  await screen.shows(/No browser could be started: open the URL by hand/)
})

test('the page is no page to frame, holds no script but its own, and is not kept from anybody', async () => {
  const plane = await controlPlane()
  const replies = await Promise.all(
    [
      ...['/dashboard/', '/dashboard/page.js', '/dashboard/login.js', '/dashboard/page.css'],
      ...['/playground/', '/dashboard/playground.js'],
    ].map(path => fetch(plane.url + path)),
  )
  expect(new Set(replies.map(({status}) => status))).toEqual(new Set([200]))
  for (const {headers} of replies) {
    expect(headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  }
  expect((await fetch(`${plane.url}/dashboard/..%2fbundle%2fmain.cjs`)).status).toBe(404)
})
