import {mkdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {describe, expect, test} from 'vitest'
import {type ControlPlane, controlPlane} from '../support/control-plane.ts'
import {operator} from '../support/gpuctl.ts'

async function administrator(plane: ControlPlane) {
  const admin = await operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: plane.adminToken})
  const file = async (name: string, text: string) => {
    const path = join(admin.home, name)
    await mkdir(join(path, '..'), {recursive: true})
    await writeFile(path, text)
    return path
  }
  return {...admin, file}
}

const fleet = `
kind: claim
name: train
image: nvidia/cuda:12
command: [python, train.py]
env: {EPOCHS: "9"}
gpus: {count: 2, model: H100}
labels: {team: vision}
---
kind: spec
name: small
gpuCount: 1
gpuModel: RTX 4090
cpus: 8
memoryGiB: 32
pricePerHour: 0.5
---
kind: image
name: cuda
address: nvidia/cuda:12
---
kind: quota
user: ada
gpus: 4
---
kind: instance
name: box
image: cuda
spec: small
remark: for the course
`

describe('apply', () => {
  test('makes what files describe, changes what differs, and does nothing the second time', async () => {
    const plane = await controlPlane()
    await plane.user('ada')
    const {file, ok, run, json} = await administrator(plane)
    const path = await file('fleet.yml', fleet)

    const dry = await run(['apply', '-f', path, '--dry-run'])
    expect(dry).toMatchObject({code: 10, stdout: expect.stringContaining('spec/small created (dry run)')})
    expect(await json(['spec', 'list'])).toEqual([])
    const first = await ok(['apply', '-f', path])
    expect(first.stdout.split('\n').filter(Boolean).sort()).toEqual([
      ...['claim/train created', 'image/cuda created', 'instance/box created'],
      ...['quota/ada configured', 'spec/small created'],
    ])
    expect(await json(['claim', 'get', 'train'])).toMatchObject({
      spec: {env: {EPOCHS: '9'}, gpus: {count: 2, model: 'H100'}},
    })
    expect(await json(['instance', 'get', 'box'])).toMatchObject({
      catalogueSpec: {name: 'small'},
      remark: 'for the course',
    })
    const second = await ok(['apply', '-f', path])
    expect(second.stdout.match(/ unchanged$/gm)).toHaveLength(5)
    expect(await run(['diff', '-f', path])).toMatchObject({code: 0, stdout: ''})

    const changed = await file('fleet.yml', fleet.replace('pricePerHour: 0.5', 'pricePerHour: 0.7'))
    const difference = await run(['diff', '-f', changed])
    expect(difference).toMatchObject({code: 10, stdout: '~ spec/small\n    pricePerHour  0.5 → 0.7\n'})
    expect(JSON.parse((await run(['diff', '-f', changed, '-o', 'json'])).stdout)).toEqual([
      {name: 'spec/small', action: 'configured', changes: [{field: 'pricePerHour', from: 0.5, to: 0.7}]},
    ])
    expect((await ok(['apply', '-f', changed])).stdout).toContain('spec/small configured\n')
    expect(await json(['spec', 'get', 'small'])).toMatchObject({pricePerHour: 0.7, cpus: 8})
  }, 90_000)

  test('does not change what runs, and says so before it does anything', async () => {
    const {file, ok, run, json} = await administrator(await controlPlane())
    const path = await file('job.yml', 'kind: claim\nname: train\nimage: cuda:12\ngpus: {count: 2}\n')
    await ok(['apply', '-f', path])
    await file('job.yml', 'kind: claim\nname: train\nimage: cuda:13\ngpus: {count: 2}\n---\nkind: spec\nname: new\n')

    const refused = await run(['apply', '-f', path])
    expect(refused).toMatchObject({code: 5, stdout: ''})
    expect(refused.stderr).toContain('job.yml:1: claim/train: image is cuda:12, wanted is cuda:13')
    expect(refused.stderr).toContain('gpuctl claim cancel train')
    expect(await json(['spec', 'list'])).toEqual([])
  }, 60_000)

  test('--prune removes what it made before and nothing else, and asks', async () => {
    const plane = await controlPlane()
    const {file, ok, run, json} = await administrator(plane)
    await ok(['spec', 'create', 'by-hand'])
    await file('fleet/specs.yml', 'kind: spec\nname: small\n---\nkind: spec\nname: large\n')
    const image = await file('fleet/image.json', '{"kind": "image", "name": "cuda", "address": "cuda:12"}')
    const folder = join(image, '..')
    await ok(['apply', '-f', folder])
    await file('fleet/specs.yml', 'kind: spec\nname: small\n')

    expect(await run(['diff', '-f', folder, '--prune'])).toMatchObject({code: 10, stdout: '- spec/large\n'})
    expect((await ok(['apply', '-f', folder])).stdout).not.toContain('large')
    const unasked = await run(['apply', '-f', folder, '--prune'])
    expect(unasked).toMatchObject({code: 2, stderr: expect.stringContaining('Remove spec/large?')})
    expect((await ok(['apply', '-f', folder, '--prune', '--yes'])).stdout).toContain('spec/large removed\n')
    const left = await json<{name: string}[]>(['spec', 'list'])
    expect(left.map(({name}) => name).sort()).toEqual(['by-hand', 'small'])
    expect(await run(['diff', '-f', folder, '--prune'])).toMatchObject({code: 0})

    // From another machine, as CI is, with nothing of the first one; and only of its own set.
    await ok(['apply', '-f', await file('other.yml', 'kind: spec\nname: others\n'), '--set', 'other'])
    await ok(['image', 'delete', 'cuda', '--yes'])
    await ok(['image', 'create', 'cuda', '--address', 'cuda:12'])
    const ci = await administrator(plane)
    const none = await ci.file('none.yml', 'kind: spec\nname: by-hand\n')
    expect(await ci.run(['apply', '-f', none, '--prune', '--yes'])).toMatchObject({
      code: 0,
      stdout: 'spec/by-hand unchanged\nspec/small removed\n',
    })
    expect((await json<{name: string}[]>(['spec', 'list'])).map(({name}) => name).sort()).toEqual(['by-hand', 'others'])
    expect(await json(['image', 'list'])).toMatchObject([{name: 'cuda'}])
  }, 90_000)

  test('--prune takes back what runs, and nothing of another user', async () => {
    const plane = await controlPlane()
    const [ann, bob] = await Promise.all(
      ['ann', 'bob'].map(async name => {
        const {password} = await plane.user(name, {gpuQuota: 2})
        return operator({GPUCTL_SERVER: plane.url, GPUCTL_TOKEN: await plane.login(name, password)})
      }),
    )
    const claims = 'kind: claim\nname: a\nimage: box\n---\nkind: claim\nname: b\nimage: box\n'
    for (const person of [ann, bob])
      expect(await person?.run(['apply', '-f', '-'], {input: claims})).toMatchObject({code: 0})
    const prune = ['apply', '-f', '-', '--prune', '--yes']
    const input = 'kind: claim\nname: a\nimage: box\n'
    expect(await ann?.run(prune, {input})).toMatchObject({stdout: 'claim/a unchanged\nclaim/b removed\n'})
    expect(await ann?.run(prune, {input})).toMatchObject({stdout: 'claim/a unchanged\n'})
    expect((await bob?.json<object[]>(['claim', 'list']))?.length).toBe(2)
    expect(
      await ann?.run(['apply', '-f', '-', '--set', 'a b'], {input: `${input}---\nkind: claim\nname: c\nimage: box\n`}),
    ).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/Apply-Set|set/),
    })
  }, 90_000)

  test('names file, line, document and field of all that is wrong, and does nothing', async () => {
    const {file, run} = await administrator(await controlPlane())
    const path = await file(
      'bad.yml',
      [
        ...['kind: spec', 'name: small', 'gpuCount: two', 'colour: red', '---'],
        ...['kind: claim', 'name: train', '---', 'kind: ship', '---', 'kind: spec', 'name: small', '---', '- a'],
      ].join('\n'),
    )
    const {code, stderr} = await run(['apply', '-f', path])
    expect(code).toBe(2)
    for (const words of [
      'bad.yml:3: document 1 (spec/small): gpuCount is "two"; it must be a whole number',
      'bad.yml:4: document 1 (spec/small): colour is not known here; there are kind, name',
      'bad.yml:6: document 2 (claim/train): image is missing',
      'bad.yml:9: document 3: kind is ship; it must be one of spec, image, quota, pool, instance, claim',
      'bad.yml:14: document 5: must be a map with a kind',
    ]) {
      expect(stderr).toContain(words)
    }
    const twice = await run(['apply', '-f', '-'], {input: 'kind: spec\nname: a\n---\nkind: spec\nname: a\n'})
    expect(twice.stderr).toContain('stdin:4: spec/a is described at stdin:1 already')
    const broken = await run(['apply', '-f', '-'], {input: 'kind: spec\nname: [a\n'})
    expect(broken).toMatchObject({code: 2, stderr: expect.stringMatching(/stdin:\d: document 1: /)})
    const bomb = `a: &a [x, x]\n${'bcdefghijklmn'.replace(/./g, (c, at) => `${c}: &${c} [*${at === 0 ? 'a' : 'abcdefghijklmn'[at]}, *a, *a, *a, *a, *a, *a, *a, *a]\n`)}`
    expect((await run(['apply', '-f', '-'], {input: bomb})).code).not.toBe(0)
    expect(await run(['apply'])).toMatchObject({code: 2, stderr: expect.stringContaining('--file is missing')})
    expect(await run(['apply', '-f', '/nowhere'])).toMatchObject({code: 2})
  }, 60_000)
})

describe('export', () => {
  test('writes what apply takes without a difference, here and on another server', async () => {
    const plane = await controlPlane()
    await plane.user('ada')
    const here = await administrator(plane)
    await here.ok(['apply', '-f', await here.file('fleet.yml', fleet)])
    const {stdout} = await here.ok(['export'])
    expect(await here.run(['diff', '-f', '-'], {input: stdout})).toMatchObject({code: 0, stdout: ''})
    expect(stdout).toContain('kind: instance\nname: box\nimage: cuda\nspec: small\n')

    const other = await controlPlane()
    await other.user('ada')
    const there = await administrator(other)
    const applied = await there.run(['apply', '-f', '-'], {input: stdout})
    expect(applied).toMatchObject({code: 0})
    expect((await there.ok(['export'])).stdout).toBe(stdout)

    const one = join(here.home, 'one.yml')
    await here.ok(['export', 'spec/small', '-f', one])
    expect(await readFile(one, 'utf8')).toMatch(/^---\nkind: spec\nname: small\n/)
    expect(await here.json(['export', 'image'])).toMatchObject([
      {kind: 'image', name: 'cuda', address: 'nvidia/cuda:12'},
    ])
    expect(await here.run(['export', 'spec/none'])).toMatchObject({code: 2})
  }, 120_000)
})

test('the schema for editors is printed, and describes all kinds', async () => {
  const {run} = await operator()
  const {stdout, code} = await run(['apply', '--schema'])
  expect(code).toBe(0)
  const {oneOf} = JSON.parse(stdout) as {oneOf: {properties: {kind: {const: string}}}[]}
  expect(oneOf.map(({properties}) => properties.kind.const)).toEqual([
    'spec',
    'image',
    'quota',
    'pool',
    'instance',
    'claim',
  ])
})
