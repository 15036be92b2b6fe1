import {chmod, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {openInBrowser} from '../../src/cli/browser.ts'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {eventually} from '../support/wait.ts'

test('an instance is renamed, noted and tried before; the dashboard stands behind open', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 1, gpus: 2})
  const {run, ok, json} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  for (const name of ['train', 'web'])
    await plane.ok('claims.submit', {name, image: 'any', gpus: {count: 1}}, {token: plane.adminToken})

  expect(await run(['instance', 'rename', 'train', 'old', '--dry-run'])).toMatchObject({code: 10})
  expect((await ok(['instance', 'rename', 'train', 'old'])).stdout).toBe('train is now old.\n')
  expect(await json(['claim', 'get', 'old'])).toMatchObject({name: 'old'})
  expect(await run(['instance', 'rename', 'old', 'web'])).toMatchObject({code: 5})
  expect(await run(['instance', 'update', 'old'])).toMatchObject({code: 2})
  expect(await json(['instance', 'set', 'old', '--remark', 'until Friday'])).toMatchObject({remark: 'until Friday'})
  expect((await ok(['instance', 'open', 'old'])).stdout).toBe(`${plane.url}/dashboard/\n`)
  expect(await run(['instance', 'open', 'old', '99999'])).toMatchObject({code: 2})
  expect((await ok(['open'])).stdout).toBe(`${plane.url}/dashboard/\n`)
  expect((await ok(['open', 'swagger'])).stdout).toBe(`${plane.url}/swagger/\n`)
  expect(await run(['open', 'cellar'])).toMatchObject({code: 2, stderr: expect.stringContaining('dashboard')})
})

test('limits are changed while it runs, and shown', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 1, gpus: 2})
  const {run, ok, json} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  await ok(['claim', 'submit', '--name', 'train', '--image', 'any', '--cpus', '1', '--wait'])
  const {startedAt} = (await json(['instance', 'get', 'train'])) as {startedAt: string}

  expect(await run(['instance', 'update', 'train', '--cpus', 'many'])).toMatchObject({code: 2})
  expect(await run(['instance', 'update', 'train', '--cpus', '4000'])).toMatchObject({code: 6})
  expect(await run(['instance', 'update', 'train', '--memory', '2GiB', '-n'])).toMatchObject({code: 10})
  const changed = ['instance', 'update', 'train', '--cpus', '1.5', '--memory', '2GiB', '--restart', 'always']

  expect((await ok(changed)).stdout).toBe('train is changed.\n')
  expect((await ok(['instance', 'get', 'train'])).stdout).toMatch(/CPUs\s+1\.5\n[\s\S]*Memory\s+2 GiB/)
  expect(await json(['claim', 'get', 'train'])).toMatchObject({spec: {memoryMiB: 2048, restart: 'always'}})
  expect(await json(['instance', 'get', 'train'])).toMatchObject({startedAt})
})

test('snapshots are made, listed and deleted, by the long way and the short one', async () => {
  const plane = await controlPlane()
  await simulatedFleet(plane, {nodes: 1, gpus: 2})
  const {run, ok, json} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  await ok(['claim', 'submit', '--name', 'train', '--image', 'any', '--wait'])

  expect(await run(['instance', 'snapshot', 'create', 'train', 'first', '-n'])).toMatchObject({code: 10})
  const made = await ok(['instance', 'snapshot', 'create', 'train', 'first', '--wait'])
  expect(made.stdout).toBe('Snapshot first of train is kept, without volumes.\n')
  expect(await json(['instance', 'snapshot', 'train', '--wait'])).toMatchObject({task: {status: 'completed'}})
  expect(await json(['inst', 'snapshot', 'ls', 'train'])).toMatchObject([
    {name: 'first', state: 'ready'},
    {name: expect.stringMatching(/^\d{4}-\d\d-\d\dT/), createdBy: 'admin'},
  ])
  const push = ['instance', 'snapshot', 'create', 'train', 'sent', '--wait', '--push']
  expect((await ok([...push, 'ghcr.io/team/train:v1'])).stdout).toBe(
    'Snapshot sent of train is kept, without volumes, and pushed as ghcr.io/team/train:v1.\n',
  )
  expect(
    await json(['instance', 'snapshot', 'train', 'short', '--wait', '--push', 'ghcr.io/team/train']),
  ).toMatchObject({
    task: {result: {pushed: expect.stringMatching(/^ghcr.io\/team\/train@sha256:/)}},
  })
  for (const wrong of ['train', 'ghcr.io/Train', 'a/b@sha256:0', 'https://a/b', 'sha256:00'])
    expect(await run([...push, wrong])).toMatchObject({code: 2, stderr: expect.stringContaining('REGISTRY/REPOSITORY')})
  for (const name of ['sent', 'short']) await ok(['instance', 'snapshot', 'rm', 'train', name])
  const back = ['instance', 'snapshot', 'restore', 'train', 'first']
  expect(await run(back)).toMatchObject({code: 2, stderr: expect.stringContaining('--yes')})
  expect(await run([...back, '-n'])).toMatchObject({code: 10})
  expect((await ok([...back, '--yes'])).stdout).toBe('train is what it was at first.\n')
  expect(await json(['instance', 'get', 'train'])).toMatchObject({status: 'running', madeOf: {snapshot: 'first'}})
  expect(await run(['instance', 'snapshot', 'rm', 'train', 'first'])).toMatchObject({code: 5})
  const [, {name: second}] = (await json(['instance', 'snapshot', 'list', 'train'])) as [unknown, {name: string}]
  expect((await ok(['instance', 'restore', 'train', second, '-y'])).stdout).toBe(`train is what it was at ${second}.\n`)
  expect((await ok(['instance', 'snapshot', '--help'])).stdout).toContain('instance snapshot delete')
  expect((await ok(['instance', 'snapshot', 'rm', 'train', 'first'])).stdout).toBe('Snapshot first of train is gone.\n')
  expect(await run(['instance', 'snapshot', 'rm', 'train', 'first'])).toMatchObject({code: 3})
})

test('the program of $BROWSER gets the URL as one word; where there is none, that is said', async () => {
  const folder = await temporaryDirectory('gpuctl-browser-')
  const browser = join(folder, 'browser')
  await writeFile(browser, `#!/bin/sh\nprintf '%s|' "$@" > ${folder}/seen\n`)
  await chmod(browser, 0o755)

  expect(await openInBrowser('http://127.0.0.1:1/a b;c', {BROWSER: browser})).toBe(true)
  await eventually(async () => (await readFile(`${folder}/seen`, 'utf8')) === 'http://127.0.0.1:1/a b;c|')
  expect(await openInBrowser('http://127.0.0.1:1/', {BROWSER: join(folder, 'none')})).toBe(false)
})
