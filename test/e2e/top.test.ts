import {execFile} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {expect, test} from 'vitest'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator, program} from '../support/gpuctl.ts'
import {Screen} from '../support/screen.ts'
import {need} from '../support/skips.ts'
import {eventually} from '../support/wait.ts'

/** A server with simulated machines, and its administrator. */
async function fleet(nodes = 3) {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes, gpus: 4})
  const admin = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const submit = (name: string, gpus: number, env = {}) =>
    plane.ok('claims.submit', {name, image: 'cuda', gpus: {count: gpus}, env}, {token: plane.adminToken})
  return {plane, admin, submit}
}

test('top shows nodes, GPUs, instances and the queue; keys stop, drain, filter and quit', async context => {
  need(context, 'tmux')
  const {plane, admin, submit} = await fleet()
  await submit('train', 2)
  await submit('huge', 99)
  const screen = new Screen({cliEnvironment: {...admin.env, NO_COLOR: '1'}}, {columns: 80, rows: 30})
  screen.type('echo before\n')
  screen.run('top')

  await screen.shows(/nodes 3 of 3 online/)
  await screen.shows(/^ {2}train +running +sim-000\d +\d,\d/m)
  await screen.shows(/^ +1 +huge +99/m)
  expect(screen.text).toMatch(/GPUs 2 of 12 held/)
  expect(screen.text).toMatch(/^> sim-0001 +online/m)
  expect(screen.text).toMatch(/▸ NODES/)

  screen.press('Tab', 'Tab')
  await screen.shows(/▸ INSTANCES/)
  screen.press('k')
  await screen.shows(/Stop train on sim-000\d\? It keeps its GPUs\. y\/N/)
  screen.press('n')
  await screen.shows(/Nothing was done/)
  screen.press('k', 'y')
  await screen.shows(/^> train +exited/m)

  screen.press('/')
  screen.type('0002')
  screen.press('Enter')
  await screen.shows(/filter: 0002/)
  await eventually(() => !/^[> ] sim-0001/m.test(screen.text), {what: 'the filter'})
  screen.press('BTab', 'BTab')
  await screen.shows(/▸ NODES/)
  screen.press('d')
  await screen.shows(/Drain sim-0002: no new work, and nothing runs there\? y\/N/)
  screen.press('y')
  await screen.shows(/^> sim-0002 +cordoned/m)

  screen.resize(200, 40)
  await screen.shows(/▸ NODES.* GPU +MODEL/)
  screen.press('?')
  await screen.shows(/Any key goes back/)
  screen.press('x', 'q')
  await screen.shows(/here> echo before\nbefore/)
  expect(screen.text).not.toMatch(/NODES/)
  const nodes = await plane.ok<{name: string; schedulable: boolean}[]>('nodes.list', {}, {token: plane.adminToken})
  expect(nodes.filter(({schedulable}) => !schedulable).map(({name}) => name)).toEqual(['sim-0002'])
})

test('logs come over top and go with Ctrl-C; SIGTERM gives the terminal back as it was', async context => {
  need(context, 'tmux')
  const {admin, submit} = await fleet(1)
  await submit('train', 1, {GPUCTL_FAKE_STDOUT: 'epoch 1 of 9'})
  const screen = new Screen({cliEnvironment: {...admin.env, NO_COLOR: '1'}}, {columns: 80, rows: 24})
  const pidFile = join(admin.home, 'top.pid')
  screen.type(`sh -c 'echo $$ > ${pidFile}; exec ${process.execPath} ${program} top'\n`)
  await screen.shows(/^ {2}train +running/m)
  await screen.shows(/ W +train$/m) // the card's own row names its holder
  screen.press('Tab')
  await screen.shows(/▸ GPU/)
  screen.press('l')
  await screen.shows(/^epoch 1 of 9$/m)
  screen.press('C-c')
  await screen.shows(/▸ GPU/)

  process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGTERM')
  await eventually(() => !/▸/.test(screen.text), {what: 'the own screen'})
  screen.type('echo rc=$?; stty -a\n')
  await screen.shows(/rc=130$/m)
  await screen.shows(/ icanon .* echo /s)
  expect(screen.text).not.toMatch(/▸/)
})

test('top without a terminal prints lines; with -o json one picture, and with ndjson one a step', async () => {
  const {admin, submit} = await fleet()
  await submit('train', 2)
  await eventually(async () => /train\trunning/.test((await admin.ok(['top', '--once'])).stdout), {withinMs: 15_000})
  const {stdout} = await admin.ok(['top', '--once'])
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map(line => line.split('\t'))
  expect(rows.map(([, kind, name, state]) => [kind, name, state])).toEqual([
    ['node', 'sim-0001', 'online'],
    ['node', 'sim-0002', 'online'],
    ['node', 'sim-0003', 'online'],
    ['instance', 'train', 'running'],
  ])
  expect(await admin.json(['top', '--once'])).toMatchObject({
    ...{totals: {nodes: 3, online: 3, gpus: 12, gpusHeld: 2, running: 1, waiting: 0}, queue: []},
    instances: [{name: 'train', owner: 'admin'}],
  })
  const two = await promisify(execFile)('sh', ['-c', `"${process.execPath}" "${program}" top -o ndjson | head -n 2`], {
    env: admin.env,
  })
  const steps = two.stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as {at: string; nodes: unknown[]})
  expect(steps.map(({nodes}) => nodes.length)).toEqual([3, 3])
  expect(steps[1]?.at).not.toBe(steps[0]?.at)
})
