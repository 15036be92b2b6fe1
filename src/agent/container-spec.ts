import type {DesiredInstance} from '../contract/agent-protocol.ts'
import type {ContainerGpu, ContainerSpec} from '../runtime/driver.ts'
import {label} from '../runtime/labels.ts'

/** The container that a wanted instance becomes: deterministic name, and labels that say all (architecture, idea 4). */
export function containerSpec(
  wanted: DesiredInstance,
  node: {nodeId: string; gpu: (index: number, uuid: string) => ContainerGpu},
  folders: ContainerSpec['folders'] = [],
): ContainerSpec {
  const own = Object.fromEntries(Object.entries(wanted.labels).map(([key, value]) => [`${label.user}${key}`, value]))
  return {
    name: wanted.containerName,
    image: wanted.image,
    command: wanted.command,
    env: wanted.env,
    labels: {
      ...own,
      [label.node]: node.nodeId,
      [label.claim]: wanted.claimId,
      [label.instance]: wanted.instanceId,
      [label.allocation]: wanted.allocationId,
      [label.epoch]: String(wanted.epoch),
      [label.gpus]: wanted.gpus.map(gpu => gpu.index).join(','),
      [label.owner]: wanted.owner,
      [label.name]: wanted.name,
      ...foreignLabels(wanted),
    },
    gpus: wanted.gpus.map(({index, uuid, share}) => ({...node.gpu(index, uuid), ...(share ? {share} : {})})),
    cpus: wanted.cpus,
    memoryMiB: wanted.memoryMiB,
    systemDiskGiB: wanted.systemDiskGiB,
    volumes: wanted.volumes,
    folders,
    hamiCore: wanted.hamiCore,
  }
}

/** What programs written for the rental API look for (wire.md 3.3). */
function foreignLabels({containerName}: DesiredInstance): Record<string, string> {
  return {'managed-by': 'docker-gpu-manage', instance: containerName}
}
