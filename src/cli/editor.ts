import {spawn} from 'node:child_process'
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {exitCode} from './exit-codes.ts'
import {Failure, usageError} from './failure.ts'
import {canAsk} from './terminal.ts'

/** Lets a person change a text in the editor of VISUAL or EDITOR (words of a command, no shell), vi unless set. */
export async function editText(text: string, {name, mayAsk}: {name: string; mayAsk: boolean}): Promise<string> {
  if (!mayAsk || !canAsk()) throw usageError('An editor needs a terminal.', 'Use the flags of the command instead.')
  const [program = 'vi', ...args] = (process.env.VISUAL || process.env.EDITOR || 'vi').split(/\s+/).filter(Boolean)
  // Nobody else may read or replace the file meanwhile.
  const folder = await mkdtemp(join(tmpdir(), 'gpuctl-edit-'))
  const path = join(folder, name)
  try {
    await writeFile(path, text, {mode: 0o600, flag: 'wx'})
    await runEditor(program, [...args, path])
    return await readFile(path, 'utf8')
  } finally {
    await rm(folder, {recursive: true, force: true})
  }
}

function runEditor(program: string, args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {stdio: 'inherit'})
    child.once('error', error =>
      reject(usageError(`The editor ${program} cannot be started: ${error.message}`, 'Set EDITOR to another one.')),
    )
    child.once('close', code => {
      if (code === 0) resolve()
      else
        reject(
          new Failure('cancelled', 'The editor was left with an error; nothing was changed.', {
            exitCode: exitCode.cancelled,
          }),
        )
    })
  })
}
