import {existsSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {TaskTrial} from './trial.ts'

const file = 'lab.img'

/** Templates of an uploaded file. Of a lab alone. */
export function templateTrial(): TaskTrial {
  let number = 9000
  return {
    name: 'templates',
    async prepare({folder = ''}) {
      writeFileSync(join(folder, 'iso', file), 'a disk')
    },
    async round(lab) {
      const id = String(number++)
      const machine = join(lab.folder ?? '', `vm-${id}`)
      const made = await lab.disturbed('POST', `/os-images/${file}/template`, {id, name: 'base', node: lab.node})
      const isWhole = existsSync(machine) && /^template: 1$/m.test(readFileSync(machine, 'utf8'))
      const state = `template ${id}, ${made.status} ${made.error?.message ?? ''}`
      lab.check(
        made.status === 'completed' ? isWhole : !existsSync(machine),
        `${state}: is there ${existsSync(machine)}`,
      )
      rmSync(machine, {force: true})
    },
  }
}
