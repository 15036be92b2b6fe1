import {lstat, readFile} from 'node:fs/promises'
import {type Service, serviceFolders} from './service-unit.ts'

/** Whether systemd keeps that process as this service: what ends it otherwise may see it come back. */
export async function runsAs(name: Service['name'], pid: number): Promise<boolean> {
  const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
  return groups.includes(`/${name}.service`)
}

/** What to say where nothing of this person runs: of a service, whose folder others cannot look into. */
export async function nothingRuns(name: Service['name'], own: string): Promise<string> {
  const link = await lstat(`/run/systemd/units/invocation:${name}.service`).catch(() => undefined)
  if (!link) return own
  const half = name === 'gpuctl-server' ? 'server' : 'agent'
  const {data} = serviceFolders(name)
  return `systemd runs the ${half} here: see \`systemctl status ${name}\` and \`sudo env GPUCTL_DATA_DIR=${data} gpuctl ${half} status\`.`
}
