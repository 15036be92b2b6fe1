import {execFile} from 'node:child_process'
import {mkdir, readdir, readFile, symlink} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {promisify} from 'node:util'
import {expect, onTestFinished, test} from 'vitest'
import {temporaryDirectory} from '../support/temporary-directory.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

/** Its own scripts stay out: they would build again what other tests are running. `npm run test:matrix` installs it with npm. */
async function packed(): Promise<{files: string[]; program: string; bytes: number}> {
  const prefix = await temporaryDirectory('gpuctl-package-')
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', prefix]
  const [{filename, files, size}] = JSON.parse((await run('npm', pack, {cwd: root})).stdout)
  const modules = join(prefix, 'lib/node_modules')
  const home = join(modules, 'gpuctl')
  await mkdir(home, {recursive: true})
  await run('tar', ['-xzf', join(prefix, filename), '--strip-components=1', '-C', home])
  const {dependencies} = JSON.parse(await readFile(join(home, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies)) {
    await mkdir(dirname(join(modules, name)), {recursive: true})
    await symlink(join(root, 'node_modules', name), join(modules, name))
  }
  return {files: files.map(({path}: {path: string}) => path), program: join(home, 'bin/run.js'), bytes: size}
}

test('the package is small, and runs client, server and agent with no more beside it than the packages that it names', async () => {
  const {files, program, bytes} = await packed()

  expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'bin/run.js', 'oclif.manifest.json']))
  expect(
    files.filter(path => !/^(bin|dist)\/|^(LICENSE|README\.md|package\.json|oclif\.manifest\.json)$/.test(path)),
  ).toEqual([])
  expect(files.filter(path => /\.(map|ts|test\.\w+)$/.test(path))).toEqual([])
  expect(bytes).toBeLessThan(6 * 2 ** 20)

  const home = await temporaryDirectory('gpuctl-home-')
  const env = {PATH: process.env.PATH, HOME: home, GPUCTL_KEYRING: 'file', NO_COLOR: '1'}
  const gpuctl = async (...args: string[]) => {
    const {stdout, stderr} = await run(process.execPath, [program, ...args], {env, cwd: home})
    expect(stderr).not.toMatch(/Warning|ExperimentalWarning/)
    return stdout
  }
  onTestFinished(async () => void (await gpuctl('down')))
  const {version} = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  expect(await gpuctl('--version')).toContain(`gpuctl/${version} `)
  const up = [
    'up',
    '--detach',
    '--listen',
    '127.0.0.1:0',
    '--ssh-port',
    '0',
    '--runtime',
    'process',
    '--fake-gpus',
    '2',
  ]
  const {node} = JSON.parse(await gpuctl(...up, '-o', 'json'))
  await gpuctl('node', 'approve', node.code, '--wait')
  expect(await gpuctl('gpu', 'list', '--jq', '.[].state')).toBe('free\nfree\n')
  await gpuctl('claim', 'submit', '--name', 'hello', '--image', 'host', '--gpus', '1', '--wait', '--', 'echo', 'hi')
  expect(await gpuctl('instance', 'logs', '-f', 'hello')).toBe('hi\n')
  expect(await readdir(join(home, '.local/share/gpuctl'))).toContain('server')
})
