import {cpSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import type {TaskTrial} from './trial.ts'

const next = '0.99.0'

/** The program in a folder of its own, as if it were of a later version: what the server of this trial runs. */
export function laterProgram(program: string, folder: string): string {
  const root = dirname(dirname(program))
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {files: string[]}
  for (const name of manifest.files.filter(one => !one.startsWith('!'))) {
    cpSync(join(root, name), join(folder, name), {recursive: true})
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({...manifest, version: next}))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const later = join(folder, 'bin', 'run.js')
  writeFileSync(later, readFileSync(later, 'utf8').replace(/const version = '[^']+'/, `const version = '${next}'`))
  return later
}

/** An agent that gets the later program of its server. Of an agent that is no lab's. */
export function upgradeTrial(): TaskTrial {
  return {
    name: 'upgrades',
    needsUpgrade: true,
    async round(lab) {
      const programs = join(lab.agentData, 'agent', 'programs')
      const {status, error} = await lab.disturbed('POST', '/nodes/upgrade', {nodes: [lab.node]})
      const after = `after node.upgrade ${status} ${error?.message ?? ''}`
      const nodes = await lab.ok<{connected: boolean; agentVersion: string}[]>('GET', '/nodes')
      const running = nodes.map(({connected, agentVersion}) => `${connected} ${agentVersion}`).join()
      if (status === 'completed') {
        const found = readdirSync(programs).sort().join()
        const state = readFileSync(join(programs, 'state.json'), 'utf8').trim()
        lab.check(running === `true ${next}`, `${after} it is ${running}`)
        lab.check(found === `${next},state.json`, `${after} its programs are ${found}`)
        lab.check(state === JSON.stringify({current: next}), `${after} it keeps ${state}`)
      }
      await lab.agentAgain(() => rmSync(programs, {recursive: true, force: true}))
    },
  }
}
