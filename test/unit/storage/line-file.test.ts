import {readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {LineFile} from '../../../src/storage/line-file.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

const place = async () => join(await temporaryDirectory(), 'etc/table')

test('changes that are asked for at once all stand in the file, which is made with its folder', async () => {
  const path = await place()
  const file = new LineFile(path)
  expect(await file.lines()).toEqual([])

  await Promise.all(['a', 'b', 'c'].map(line => file.change(lines => [...lines, line])))

  expect(await readFile(path, 'utf8')).toBe('a\nb\nc\n')
})

test('empty lines of others are kept, and a last line without its end gets one', async () => {
  const path = await place()
  const file = new LineFile(path)
  await file.change(() => ['a'])
  await writeFile(path, '# theirs\n\nb')

  await file.change(lines => [...lines, 'c'])

  expect(await readFile(path, 'utf8')).toBe('# theirs\n\nb\nc\n')
})

test('a change that fails leaves the file, and the next one is made', async () => {
  const file = new LineFile(await place())
  await file.change(() => ['a'])

  await expect(
    file.change(() => {
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  await file.change(lines => [...lines, 'b'])

  expect(await file.lines()).toEqual(['a', 'b'])
})
