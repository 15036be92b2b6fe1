import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {EndedTask, TaskLab, TaskTrial} from './trial.ts'

const id = '100'
const before = 'name: before\n'
const later = 'name: later\n'
/** Restoring over a machine that runs has three steps, all else one. */
const restoresOver = 3

/** Backups of a virtual machine of Proxmox VE, restored over it and in place of it. Of a lab alone. */
export function vmTrial(): TaskTrial {
  return {
    name: 'virtual machines',
    async round(lab) {
      const {dump, machine} = placesOf(lab)
      mkdirSync(dump, {recursive: true})
      put(lab, before)
      const archive = await backUp(lab)
      for (let time = 0; time < restoresOver; time++) {
        put(lab, later)
        const ended = await lab.disturbed('POST', '/vm-backups/restore', {archive, node: lab.node, confirm: id})
        const isWhole = [before, later].includes(contentOf(lab) ?? '')
        const isRight = ended.status === 'completed' ? contentOf(lab) === before : isWhole
        lab.check(isRight, `${said(ended)} over ${id}: it is ${contentOf(lab)}`)
        lab.check(existsSync(`${machine}.on`), `${said(ended)} over ${id}: it runs, as it did`)
      }
      for (const file of [machine, `${machine}.on`]) rmSync(file, {force: true})
      const ended = await lab.disturbed('POST', '/vm-backups/restore', {archive, node: lab.node})
      const wanted = ended.status === 'completed' ? before : undefined
      lab.check(contentOf(lab) === wanted, `${said(ended)}: ${id} is ${contentOf(lab)}, wanted ${wanted}`)
      for (const file of [machine, dump]) rmSync(file, {recursive: true, force: true})
    },
  }

  async function backUp(lab: TaskLab): Promise<string> {
    const {dump} = placesOf(lab)
    for (const how of ['disturbed', 'done'] as const) {
      const ended = await lab[how]('POST', '/vm-backups', {vm: id, node: lab.node})
      const known = await lab.ok<{archive: string}[]>('GET', `/vm-backups?node=${lab.node}`)
      const files = readdirSync(dump).filter(name => !name.endsWith('.notes'))
      const isWhole =
        ended.status === 'completed' ? known.length === 1 && files.length === 1 : readdirSync(dump).length === 0
      lab.check(isWhole, `${said(ended)}: the server lists ${JSON.stringify(known)}, there is ${readdirSync(dump)}`)
      const [only] = known
      if (ended.status !== 'completed' || !only) continue
      lab.check(readFileSync(join(dump, files[0] ?? ''), 'utf8') === before, `${said(ended)}: the archive is whole`)
      return only.archive
    }
    throw new Error('A virtual machine was backed up, and the server does not list it.')
  }
}

/** The machine as it is, running. */
function put(lab: TaskLab, content: string): void {
  const {machine} = placesOf(lab)
  writeFileSync(machine, content)
  writeFileSync(`${machine}.on`, '')
}

function contentOf(lab: TaskLab): string | undefined {
  const {machine} = placesOf(lab)
  return existsSync(machine) ? readFileSync(machine, 'utf8') : undefined
}

function placesOf({folder = ''}: TaskLab): {dump: string; machine: string} {
  return {dump: join(folder, 'dump'), machine: join(folder, `vm-${id}`)}
}

function said({type, status, error}: EndedTask): string {
  return `${type} ${status} ${error?.message ?? ''}`
}
