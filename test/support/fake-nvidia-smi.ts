import {existsSync, readFileSync, writeFileSync} from 'node:fs'
import {fileURLToPath} from 'node:url'
import {temporaryDirectory} from './temporary-directory.ts'

/** How the stand-in behaves from its next call on. */
export interface FakeNvidiaSmiState {
  /** A file name of test/fixtures/nvidia-smi, or an absolute path. */
  capture?: string
  phase?: 'idle' | 'load'
  /** Prints this and nothing else. */
  says?: string
  exit?: number
  hang?: true | 'ignoring TERM'
  unsupportedFields?: string[]
  /** Cards, by index, that the driver no longer lists. */
  hiddenCards?: string[]
  /** The card, by index, that the driver complains about. */
  lostCard?: string
  hiddenListLines?: number[]
}

export interface FakeNvidiaSmi {
  /** Path of the program. */
  file: string
  become(state: FakeNvidiaSmiState): void
  calls(): {pid: number; args: string[]}[]
}

/** A program that answers as nvidia-smi does on the machine of the capture; removed when the running test ends. */
export async function fakeNvidiaSmi(state: FakeNvidiaSmiState): Promise<FakeNvidiaSmi> {
  const folder = await temporaryDirectory('gpuctl-smi-')
  const statePath = `${folder}/state.json`
  const file = `${folder}/nvidia-smi`
  const program = fileURLToPath(new URL('fake-nvidia-smi.mjs', import.meta.url))
  const become = ({capture, ...rest}: FakeNvidiaSmiState) => {
    const path = capture && fileURLToPath(new URL(capture, new URL('../fixtures/nvidia-smi/', import.meta.url)))
    writeFileSync(statePath, JSON.stringify({...rest, capture: path}))
  }
  become(state)
  writeFileSync(file, `#!/bin/sh\nexec '${process.execPath}' '${program}' '${statePath}' "$@"\n`, {mode: 0o755})
  return {
    file,
    become,
    calls() {
      if (!existsSync(`${statePath}.log`)) return []
      const lines = readFileSync(`${statePath}.log`, 'utf8').trim().split('\n')
      return lines.map(line => JSON.parse(line) as {pid: number; args: string[]})
    },
  }
}
