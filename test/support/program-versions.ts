import {execFile} from 'node:child_process'
import {readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {archiveProgram} from '../../src/server/program-archive.ts'
import {temporaryDirectory} from './temporary-directory.ts'

/** This program installed in a folder of its own, as if it were of that version. */
export async function programOfVersion(version: string): Promise<{program: string; replace: typeof replace}> {
  const folder = await temporaryDirectory('gpuctl-program-')
  const archive = join(folder, 'program.tar.gz')
  await writeFile(archive, (await archiveProgram()).content)
  await promisify(execFile)('tar', ['-xzf', archive, '-C', folder])
  const root = join(folder, 'gpuctl')
  const program = join(root, 'bin', 'run.js')
  await replace(/const version = '[^']+'/, `const version = '${version}'`)
  const manifest = join(root, 'package.json')
  await writeFile(manifest, JSON.stringify({...JSON.parse(await readFile(manifest, 'utf8')), version}))
  return {program, replace}

  /** Another text in its first file. */
  async function replace(what: string | RegExp, by: string): Promise<void> {
    const before = await readFile(program, 'utf8')
    const after = before.replace(what, by)
    if (after === before) throw new Error(`${what} is not in ${program}.`)
    await writeFile(program, after)
  }
}
