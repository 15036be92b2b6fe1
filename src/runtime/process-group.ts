import {readdirSync, readFileSync} from 'node:fs'
import {readStat} from './process-files.ts'

/** In the environment of everything that an instance starts, so that also what left its session is found. */
export const instanceMarker = 'GPUCTL_CONTAINER'

/** Living processes of this session. */
export function processesOfSession(session: number): number[] {
  return allProcesses().filter(pid => {
    const stat = readStat(pid)
    return stat?.session === session && stat.state !== 'Z'
  })
}

/** Living processes that bear this instance's mark, those in sessions of their own included. */
export function processesOfInstance(containerId: string): number[] {
  return processesWith(`${instanceMarker}=${containerId}`)
}

/** Living processes with this variable (`NAME=value`) in their environment. */
export function processesWith(variable: string): number[] {
  return allProcesses().filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(variable)
    } catch {
      return false // it has ended, or belongs to another user
    }
  })
}

export function signalGroup(leader: number, signal: NodeJS.Signals): void {
  signalQuietly(-leader, signal)
}

export function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it has ended
  }
}

function allProcesses(): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
}

/** Whether this is the supervisor and not what it runs. */
export function isSupervisor(pid: number, supervisorPath: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[1] === supervisorPath
  } catch {
    return false
  }
}
