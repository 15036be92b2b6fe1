import type {DesiredInstance} from '../contract/agent-protocol.ts'
import type {ContainerGpu, ContainerSpec} from '../runtime/driver.ts'
import {label} from '../runtime/labels.ts'

/** The container that a wanted instance becomes: deterministic name, and labels that say all (architecture, idea 4). Beside the one before a restore it has another name. */
export function containerSpec(
  wanted: DesiredInstance,
  node: {nodeId: string; gpu: (index: number, uuid: string) => ContainerGpu},
  folders: ContainerSpec['folders'] = [],
): ContainerSpec {
  const {count = 0} = wanted.restored ?? {}
  const own = Object.fromEntries(Object.entries(wanted.labels).map(([key, value]) => [`${label.user}${key}`, value]))
  return {
    name: count === 0 ? wanted.containerName : `${wanted.containerName}-${count}`,
    image: wanted.restored?.imageId ?? wanted.image,
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
      ...(count === 0 ? {} : {[label.restored]: String(count)}),
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
