import {mkdir, symlink, writeFile} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {expect, test} from 'vitest'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {brokenArrows, forbiddenLoads, root, sourceFiles} from './imports.ts'

test('every source file is read, and no arrow is broken', async () => {
  const {modules, broken} = await brokenArrows(root)

  expect(broken).toEqual([])
  expect(modules).toBe(sourceFiles(root).length)
  expect(modules).toBeGreaterThan(10)
})

test('nothing is loaded where only its types may be used', async () => {
  expect(await forbiddenLoads(root)).toEqual([])
})

/** Each breaks one rule: the name of the rule, and the files of a small house that is whole but for it. */
const breaches: [rule: string, files: Record<string, string>][] = [
  ['store → domain, contract, platform', {'src/store/a.ts': `import '../server/b.ts'`, 'src/server/b.ts': 'export {}'}],
  [
    'store → domain, contract, platform',
    {
      'src/store/a.ts': `import type {B} from '../agent/b.ts'\nexport type A = B`,
      'src/agent/b.ts': 'export type B = 1',
    },
  ],
  ['commands → cli, client, contract', {'src/commands/a.ts': `await import('../main/b.ts')`, 'src/main/b.ts': ''}],
  ['every room has a row in the table', {'src/helpers/a.ts': `import './b.ts'`, 'src/helpers/b.ts': ''}],
  [
    'start commands reach main and what commands may reach, nothing else',
    {'src/commands/up.ts': `await import('../store/b.ts')`, 'src/store/b.ts': ''},
  ],
  [
    'no circles, type imports included',
    {
      'src/store/a.ts': `import type {B} from './b.ts'\nexport type A = B | 2`,
      'src/store/b.ts': `import type {A} from './a.ts'\nexport type B = A | 1`,
    },
  ],
  [
    'no dialect imports another',
    {'src/server/dialects/infra/a.ts': `import '../fleet/b.ts'`, 'src/server/dialects/fleet/b.ts': ''},
  ],
  ['the domain uses no library', {'src/domain/a.ts': `import 'pg'`}],
  ['the domain does no input or output', {'src/domain/a.ts': `import 'node:fs'`}],
  ['every import leads somewhere', {'src/store/a.ts': `import './gone.ts'`}],
]

test.each(breaches)('a file that breaks "%s" is found', async (rule, files) => {
  const {broken} = await brokenArrows(await house(files))

  expect(broken.filter(line => line.includes(`"${rule}"`))).not.toEqual([])
})

const forbidden: [rule: string, files: Record<string, string>][] = [
  ['start commands load main', {'src/commands/up.ts': `import '../main/b.ts'`, 'src/main/b.ts': ''}],
  ['the domain takes types', {'src/domain/a.ts': `import '../contract/b.ts'`, 'src/contract/b.ts': ''}],
  ['the CLI loads no heavy library', {'src/cli/a.ts': `import 'chalk'`}],
  ['the CLI loads no heavy library', {'src/client/a.ts': `export * from 'typebox/value'`}],
  ['the CLI takes types', {'src/client/a.ts': `import '../contract/operation.ts'`, 'src/contract/operation.ts': ''}],
]

test.each(forbidden)('loading what breaks "%s" is found', async (rule, files) => {
  const found = await forbiddenLoads(await house(files))

  expect(found).toEqual([expect.stringContaining(`breaks "${rule}`)])
})

test('a heavy library by await import(), or its types alone, is no breach', async () => {
  const lazily = `import type {KyInstance} from 'ky'\nexport const load = async (): Promise<KyInstance> => (await import('ky')).default`

  expect(await forbiddenLoads(await house({'src/client/a.ts': lazily}))).toEqual([])
})

async function house(files: Record<string, string>): Promise<string> {
  const home = await temporaryDirectory('gpuctl-house-')
  await symlink(join(root, 'node_modules'), join(home, 'node_modules'))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(home, path)), {recursive: true})
    await writeFile(join(home, path), text)
  }
  return home
}
