import {readdir} from 'node:fs/promises'
import {join} from 'node:path'
import type {StorageCommand} from './driver.ts'
import {markText} from './grammar.ts'

const markFile = '.gpuctl-mark'

/** Pattern of its name, which no backup of the folder carries. */
export const markFiles = `${markFile}.*`

/** Says whose work a folder is, by the name of an empty file in it: two commands, without a shell. */
export function markCommands(path: string, mark: string): StorageCommand[] {
  return [
    {file: 'find', args: [path, '-maxdepth', '1', '-name', `${markFile}.*`, '-delete']},
    {file: 'cp', args: ['/dev/null', join(path, `${markFile}.${markText(mark)}`)]},
  ]
}

export async function readMark(path: string): Promise<string> {
  const names = await readdir(path).catch(() => [])
  return names.find(name => name.startsWith(`${markFile}.`))?.slice(markFile.length + 1) ?? ''
}
