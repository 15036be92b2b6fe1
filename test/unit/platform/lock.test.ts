import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {readFile} from 'node:fs/promises'
import {transform} from 'esbuild'
import {expect, onTestFinished, test} from 'vitest'
import {lockDirectory} from '../../../src/platform/lock.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'
import {eventually} from '../../support/wait.ts'

/** Another process that locks the directory and then stands there. */
async function holder(directory: string) {
  const source = await readFile(new URL('../../../src/platform/lock.ts', import.meta.url), 'utf8')
  const {code} = await transform(source, {loader: 'ts', format: 'esm'})
  const program = `${code}\nawait lockDirectory(${JSON.stringify(directory)})\nconsole.log('held')\nsetInterval(() => {}, 1e6)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {stdio: ['ignore', 'pipe', 'inherit']})
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

test('F26: a second process is told who holds the directory', async () => {
  const directory = await temporaryDirectory()
  const {pid} = await holder(directory)

  await expect(lockDirectory(directory)).rejects.toMatchObject({
    name: 'DirectoryLocked',
    pid,
    message: `${directory} is in use by process ${pid}.`,
  })
})

test('F26: kill -9 leaves no lock behind', async () => {
  const directory = await temporaryDirectory()
  const child = await holder(directory)

  child.kill('SIGKILL')
  await once(child, 'exit')

  const lock = await eventually(() => lockDirectory(directory))
  await lock.release()
})

test('the same process cannot take it twice, and a failed try does not loosen the first lock', async () => {
  const directory = await temporaryDirectory()
  const lock = await lockDirectory(directory)

  await expect(lockDirectory(directory)).rejects.toMatchObject({pid: process.pid})
  await expect(holderFails(directory)).resolves.toContain('DirectoryLocked')

  await lock.release()
  await lock.release()
  await (await lockDirectory(directory)).release()
})

async function holderFails(directory: string): Promise<string> {
  const source = await readFile(new URL('../../../src/platform/lock.ts', import.meta.url), 'utf8')
  const {code} = await transform(source, {loader: 'ts', format: 'esm'})
  const program = `${code}\nawait lockDirectory(${JSON.stringify(directory)}).catch(error => console.log(error.name))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {stdio: ['ignore', 'pipe', 'inherit']})
  const [said] = await once(child.stdout, 'data')
  return String(said)
}
