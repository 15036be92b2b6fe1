import {readFileSync} from 'node:fs'
import type {ContainerCreateOptions, DeviceMapping, DeviceRequest, MountSettings} from 'dockerode'
import type {ContainerSpec} from './driver.ts'
import {label} from './labels.ts'

/** What a tenant's root may do in the container (security T19). */
const capabilities = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETUID', 'SETGID', 'NET_BIND_SERVICE', 'KILL']
const pidsLimit = 4096
const openFiles = 65_536
/** Lower than any engine's own limit that was met: an engine without CAP_SYS_RESOURCE cannot give more than it has. */
const openFilesElsewhere = 16_384

/** All of a container for the engine, hardened. `engineIsHere`: it shares this process's limits, more or less. */
export function createOptions(
  spec: ContainerSpec,
  labels: Record<string, string>,
  engineIsHere: boolean,
): ContainerCreateOptions {
  const {name, image, command, cpus, memoryMiB, volumes = []} = spec
  const hasOwnCommand = command !== undefined && command.length > 0
  const nofile = engineIsHere ? Math.min(openFiles, ownHardLimit()) : openFilesElsewhere
  const memoryBytes = memoryMiB ? Math.round(memoryMiB * 1024 * 1024) : undefined
  return {
    name,
    Image: image,
    ...(hasOwnCommand ? {Cmd: command} : {Tty: true, OpenStdin: true}),
    Env: environment(spec),
    Labels: labels,
    HostConfig: {
      Init: true, // forwards TERM and reaps
      Privileged: false,
      CapDrop: ['ALL'],
      CapAdd: capabilities,
      SecurityOpt: ['no-new-privileges'],
      PidsLimit: pidsLimit,
      Ulimits: [{Name: 'nofile', Soft: nofile, Hard: nofile}],
      LogConfig: {Type: 'json-file', Config: {'max-size': '10m', 'max-file': '3'}},
      RestartPolicy: {Name: 'no'}, // restarts are the control server's
      ...(memoryBytes ? {Memory: memoryBytes, MemorySwap: memoryBytes} : {}),
      ...(cpus ? {NanoCpus: Math.round(cpus * 1e9)} : {}),
      Mounts: volumes.map(
        (volume): MountSettings => ({
          Type: 'volume',
          Source: volume.name,
          Target: volume.path,
          ReadOnly: volume.readOnly ?? false,
        }),
      ),
      DeviceRequests: deviceRequests(spec),
      Devices: devices(spec),
    },
  }
}

/** The facts come last, so that a tenant cannot contradict them. */
function environment({env, gpus, labels}: ContainerSpec): string[] {
  const nvidia = gpus.some(gpu => gpu.vendor === 'nvidia')
  const fakes = gpus.filter(gpu => gpu.vendor === 'fake')
  const facts: Record<string, string> = {
    GPUCTL_GPUS: gpus.map(gpu => gpu.index).join(','),
    GPUCTL_CLAIM: labels[label.claim] ?? '',
    GPUCTL_INSTANCE: labels[label.instance] ?? '',
  }
  if (fakes.length > 0) facts.GPUCTL_FAKE_GPUS = fakes.map(gpu => gpu.index).join(',')
  // Many images say NVIDIA_VISIBLE_DEVICES=all, which a host whose default runtime is NVIDIA's would obey.
  if (!nvidia) facts.NVIDIA_VISIBLE_DEVICES = 'void'
  const own = {...env}
  delete own.NVIDIA_VISIBLE_DEVICES // the engine sets it from the device request
  return Object.entries({...own, ...facts}).map(([key, value]) => `${key}=${value}`)
}

/** By uuid and never by count: a count always means the first cards, whoever else has them. */
function deviceRequests({gpus}: ContainerSpec): DeviceRequest[] {
  const uuids = gpus.filter(gpu => gpu.vendor === 'nvidia').map(gpu => gpu.uuid)
  return uuids.length > 0 ? [{Driver: '', DeviceIDs: uuids, Capabilities: [['gpu']]}] : []
}

function devices({gpus}: ContainerSpec): DeviceMapping[] {
  const amd = gpus.filter(gpu => gpu.vendor === 'amd').flatMap(gpu => gpu.devicePaths)
  return [...new Set(amd)].map(path => ({PathOnHost: path, PathInContainer: path, CgroupPermissions: 'rw'}))
}

function ownHardLimit(): number {
  try {
    const limit = /^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return limit ? Number(limit) : openFiles // "unlimited" has no digits
  } catch {
    return openFilesElsewhere
  }
}
