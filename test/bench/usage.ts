import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'

/** Length of a tick of /proc/PID/stat; 10 ms nearly everywhere. */
const tickMs = 1000 / Number(execFileSync('getconf', ['CLK_TCK'], {encoding: 'utf8'}))

/** CPU time that the process and its threads have used since their start, user and system, in milliseconds. Linux only. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * tickMs
}

/** Memory in MiB: what is resident now, and the most it was. */
export function memoryMiB(pid: number): {now: number; peak: number} {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) / 1024
  return {now: read('VmRSS'), peak: read('VmHWM')}
}

/** CPU that the process uses while `act` runs, as a share of one core's time, and the milliseconds of it. */
export async function cpuWhile<T>(
  pid: number,
  act: () => Promise<T>,
): Promise<{result: T; cpuMs: number; percent: number}> {
  const before = cpuMs(pid)
  const since = performance.now()
  const result = await act()
  const used = cpuMs(pid) - before
  return {result, cpuMs: used, percent: (used / (performance.now() - since)) * 100}
}
