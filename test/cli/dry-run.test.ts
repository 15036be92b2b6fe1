import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {contract} from '../../src/contract/contract.ts'
import {takesDryRun} from '../../src/contract/dry-run.ts'
import {type OperationName, routes} from '../../src/contract/routes.ts'
import {root, sourceFiles} from '../architecture/imports.ts'
import {controlPlane, simulatedFleet} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'

/** Commands that change something and have no --dry-run, each with the reason. */
const without: Record<string, string> = {
  'backup download': 'writes a file of yours',
  login: 'is how one gets to the server at all',
  logout: 'ends the very login that would ask',
  register: 'the one who asks has no account yet',
  'claim explain': 'is a dry run itself',
  'node test': 'is a look, and keeps nothing',
}

const manifest: {commands: Record<string, {flags: Record<string, {char?: string}>}>} = JSON.parse(
  readFileSync(join(root, 'oclif.manifest.json'), 'utf8'),
)

/** What commands do: the operations that change something, and that their text names. */
const changes = new Map(
  sourceFiles(root)
    .filter(path => path.startsWith('src/commands/'))
    .map(path => {
      const named = readFileSync(join(root, path), 'utf8').match(/'[A-Za-z]+\.[A-Za-z]+'/g) ?? []
      const operations = named.map(word => word.slice(1, -1)).filter(word => Object.hasOwn(routes, word))
      const changing = operations.filter(name => !routes[name as OperationName].startsWith('GET '))
      return [path.slice('src/commands/'.length, -'.ts'.length).replaceAll('/', ' '), changing] as const
    })
    .filter(([, changing]) => changing.length > 0),
)

test('every command that changes something on the server has -n/--dry-run, or stands on the list with a reason', () => {
  const lacking = [...changes.keys()].filter(name => {
    const flag = manifest.commands[name.replaceAll(' ', ':')]?.flags['dry-run']
    return flag?.char !== 'n' && without[name] === undefined
  })

  expect(changes.size).toBeGreaterThan(60)
  expect(lacking).toEqual([])
})

test('what a command with --dry-run calls can be tried', () => {
  const names = [...changes].filter(([name]) => without[name] === undefined).flatMap(([, changing]) => changing)

  expect(names.filter(name => !takesDryRun(name as OperationName, contract[name as OperationName]))).toEqual([])
})

describe('a dry run', () => {
  test('says what would happen, ends with 10 and changes nothing; where nothing would change it ends with 0', async () => {
    const plane = await controlPlane()
    await simulatedFleet(plane, {nodes: 2})
    const {run, json} = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
    const [first, second] = await json<{name: string; schedulable: boolean}[]>(['node', 'list'])
    if (!first || !second) throw new Error('there are no nodes')

    expect(await run(['node', 'cordon', first.name, '-n', '--reason', 'fans'])).toEqual({
      code: 10,
      stdout: `Would be done: ${first.name} takes no new work: fans.\n`,
      stderr: '',
    })
    expect(await run(['node', 'uncordon', first.name, '--dry-run'])).toEqual({
      code: 0,
      stdout: 'Nothing would change.\n',
      stderr: '',
    })
    const both = await run(['node', 'cordon', first.name, second.name, '-n', '-o', 'json'])
    expect(both.code).toBe(10)
    expect(JSON.parse(both.stdout)).toEqual(
      [first, second].map(({name}) => ({
        dryRun: true,
        messages: [`${name} takes no new work.`],
        actions: ['nodes.cordon'],
      })),
    )
    expect(await json<object[]>(['node', 'list'])).toMatchObject([{schedulable: true}, {schedulable: true}])
    expect(await json<object[]>(['audit', 'list', '--action', 'nodes.cordon'])).toEqual([])
    expect(await json<object[]>(['event', 'list', '--object', first.name])).not.toContainEqual(
      expect.objectContaining({type: 'Cordoned'}),
    )
  })

  test('asks for no consent, and is refused as the change itself would be: role, name, value, quota', async () => {
    const plane = await controlPlane()
    await simulatedFleet(plane, {nodes: 1})
    const admin = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
    const {password} = await plane.user('ada', {gpuQuota: 1})
    const ada = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: await plane.login('ada', password)})
    const [node] = await admin.json<{name: string}[]>(['node', 'list'])

    expect(await admin.run(['node', 'delete', node?.name ?? '', '-n'])).toMatchObject({code: 10})
    expect(await admin.run(['node', 'delete', 'nowhere', '-n'])).toMatchObject({code: 3})
    expect(await ada.run(['node', 'cordon', node?.name ?? '', '-n'])).toMatchObject({code: 8})
    expect(await admin.run(['quota', 'set', 'ada', '--gpus', '-1', '-n'])).toMatchObject({code: 2})
    const submit = (gpus: string) => ['claim', 'submit', '--image', 'any', '--name', 'a', '--gpus', gpus, '-n']
    expect(await ada.run(submit('2'))).toMatchObject({code: 6})
    expect(await ada.run(submit('1'))).toMatchObject({code: 10})
    expect(await ada.json<object[]>(['claim', 'list'])).toEqual([])
  })
})
