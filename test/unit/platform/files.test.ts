import {chmod, mkdir, readdir, readFile, stat, symlink, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {
  ensurePrivateDirectory,
  readSecretFile,
  refuseIfExposed,
  writeFileAtomic,
  writeSecretFile,
} from '../../../src/platform/files.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

const modeOf = async (path: string) => (await stat(path)).mode & 0o777

test('T29: secrets are born private, whatever the umask', async () => {
  const directory = join(await temporaryDirectory(), 'a', 'b')
  const former = process.umask(0)
  onTestFinished(() => void process.umask(former))

  await ensurePrivateDirectory(directory)
  await writeSecretFile(join(directory, 'key'), 'one')
  await writeSecretFile(join(directory, 'key'), 'two')

  expect(await modeOf(directory)).toBe(0o700)
  expect(await modeOf(join(directory, 'key'))).toBe(0o600)
  expect(await readSecretFile(join(directory, 'key'))).toBe('two')
  expect(await readdir(directory)).toEqual(['key'])
})

test('T29: what others can read is refused, with the cure', async () => {
  const directory = await temporaryDirectory()
  const path = join(directory, 'key')
  await writeFile(path, 'x', {mode: 0o640})
  await chmod(path, 0o640)
  const open = join(directory, 'open')
  await mkdir(open)
  await chmod(open, 0o755)

  await expect(refuseIfExposed(path)).rejects.toThrow(
    `${path} is open to other users (mode 0640). Run: chmod 600 ${path}`,
  )
  await expect(readSecretFile(path)).rejects.toMatchObject({name: 'ExposedPath', path})
  await expect(ensurePrivateDirectory(open)).rejects.toThrow('chmod 700')
  expect(await refuseIfExposed(join(directory, 'absent'))).toBe(false)
  await chmod(path, 0o600)
  expect(await refuseIfExposed(path)).toBe(true)
})

test.skipIf(process.getuid?.() !== 0)('T29: what belongs to another user is refused', async () => {
  const {chown} = await import('node:fs/promises')
  const path = join(await temporaryDirectory(), 'key')
  await writeSecretFile(path, 'x')
  await chown(path, 65_534, 65_534)

  await expect(refuseIfExposed(path)).rejects.toThrow('belongs to user 65534')
})

test('T29: a planted link is refused and its target stays as it was', async () => {
  const directory = await temporaryDirectory()
  const target = join(directory, 'target')
  const link = join(directory, 'key')
  await writeFile(target, 'precious', {mode: 0o600})
  await symlink(target, link)
  await symlink(directory, join(directory, 'folder'))

  await expect(writeSecretFile(link, 'x')).rejects.toMatchObject({name: 'ExposedPath'})
  await expect(readSecretFile(link)).rejects.toMatchObject({name: 'ExposedPath'})
  await expect(refuseIfExposed(link)).rejects.toMatchObject({name: 'ExposedPath'})
  await expect(ensurePrivateDirectory(join(directory, 'folder'))).rejects.toMatchObject({name: 'ExposedPath'})
  expect(await readFile(target, 'utf8')).toBe('precious')
})

test('a write that fails leaves nothing behind', async () => {
  const directory = await temporaryDirectory()
  await mkdir(join(directory, 'taken'))

  await expect(writeFileAtomic(join(directory, 'taken'), 'x')).rejects.toMatchObject({code: 'EISDIR'})

  expect(await readdir(directory)).toEqual(['taken'])
})
