import {execFileSync} from 'node:child_process'
import {existsSync, readdirSync, readFileSync} from 'node:fs'
import {expect, test} from 'vitest'
import {problem} from '../../src/domain/errors.ts'

const root = new URL('../../', import.meta.url).pathname

test('the committed manifest is the one that the commands make: else run `npm run manifest`', () => {
  const fresh = execFileSync(process.execPath, ['scripts/manifest.mjs', '--stdout'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  })

  const committed = existsSync(`${root}oclif.manifest.json`) ? readFileSync(`${root}oclif.manifest.json`, 'utf8') : ''

  expect(JSON.parse(committed || '{}')).toEqual(JSON.parse(fresh))
  expect(committed).toBe(fresh)
})

test('every topic is described as what it is, not as the first of its commands', () => {
  const {commands} = JSON.parse(readFileSync(`${root}oclif.manifest.json`, 'utf8')) as {commands: object}
  const {oclif} = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {oclif: {topics: object}}
  const topics = Object.keys(commands).flatMap(id => {
    const words = id.split(':')
    return words.slice(1).map((_, at) => words.slice(0, at + 1).join(':'))
  })
  const own = [...new Set(topics)].filter(topic => !Object.hasOwn(commands, topic))

  expect(own.filter(topic => !Object.hasOwn(oclif.topics, topic))).toEqual([])
  expect(Object.keys(oclif.topics).filter(topic => !own.includes(topic))).toEqual([])
})

test('what is said where something is not found names a command that there is', () => {
  const names = readdirSync(`${root}src/domain`, {recursive: true, encoding: 'utf8'}).filter(name =>
    name.endsWith('.ts'),
  )
  const calls = /(?:'not_found', \{kind: |findersAmong\(\s*)'([A-Za-z ]+)'/g
  const found = names.flatMap(name => [...readFileSync(`${root}src/domain/${name}`, 'utf8').matchAll(calls)])
  const kinds = new Set(found.map(([, kind = '']) => kind))
  const {commands} = JSON.parse(readFileSync(`${root}oclif.manifest.json`, 'utf8')) as {commands: object}

  const missing = [...kinds].filter(kind => {
    const {hint} = problem('not_found', {kind, name: 'x'})
    const [, words = ''] = /`gpuctl ([a-z -]+?)(?: [A-Z-].*)?`/.exec(hint) ?? []
    return !Object.hasOwn(commands, words.replaceAll(' ', ':'))
  })

  expect(missing).toEqual([])
  expect(kinds.size).toBeGreaterThan(8)
})

test('`gpuctl --version` says the version of the package', () => {
  const {version} = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {version: string}

  const said = execFileSync(process.execPath, ['bin/run.js', '--version'], {cwd: root, encoding: 'utf8'})

  expect(said.split(' ')[0]).toBe(`gpuctl/${version}`)
})

test('the committed reference in docs/commands is the one that the manifest makes: else run `npm run manifest`', () => {
  const fresh = execFileSync(process.execPath, ['scripts/reference.mjs', '--stdout'], {cwd: root, encoding: 'utf8'})
  const pages = JSON.parse(fresh) as Record<string, string>
  const folder = `${root}docs/commands`
  const committed = Object.fromEntries(
    readdirSync(folder).map(name => [name, readFileSync(`${folder}/${name}`, 'utf8')]),
  )

  expect(Object.keys(pages).length).toBeGreaterThan(10)
  expect(committed).toEqual(pages)
})
