import {execFileSync} from 'node:child_process'
import {existsSync, readdirSync, readFileSync} from 'node:fs'
import {expect, test} from 'vitest'

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
