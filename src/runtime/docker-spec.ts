import {readFileSync} from 'node:fs'
import type {ContainerCreateOptions, DeviceMapping, DeviceRequest, MountSettings} from 'dockerode'
import type {ContainerSpec} from './driver.ts'
import {isSplit, lockFolder, splitEnvironment, splitMounts} from './hami.ts'
import {label} from './labels.ts'

/** What a tenant's root may do in the container (security T19). */
const capabilities = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETUID', 'SETGID', 'NET_BIND_SERVICE', 'KILL']
const pidsLimit = 4096
const openFiles = 65_536
/** Lower than any engine's own limit that was met: an engine without CAP_SYS_RESOURCE cannot give more than it has. */
const openFilesElsewhere = 16_384

const volumeLabels = [label.server, label.node, label.claim, label.instance, label.owner]

/** All of a container for the engine, hardened. `engineIsHere`: it shares this process's limits, more or less. */
export function createOptions(
  spec: ContainerSpec,
  labels: Record<string, string>,
  engineIsHere: boolean,
): ContainerCreateOptions {
  const {name, image, command, cpus, memoryMiB, systemDiskGiB, ports = [], workingDir, restart} = spec
  const hasOwnCommand = command !== undefined && command.length > 0
  const nofile = engineIsHere ? Math.min(openFiles, ownHardLimit()) : openFilesElsewhere
  const memoryBytes = memoryMiB ? Math.round(memoryMiB * 1024 * 1024) : undefined
  return {
    name,
    Image: image,
    ...(hasOwnCommand ? {Cmd: command} : {Tty: true, OpenStdin: true}),
    Env: environment(spec),
    Labels: labels,
    ...(workingDir ? {WorkingDir: workingDir} : {}),
    ...(ports.length > 0 ? {ExposedPorts: Object.fromEntries(ports.map(one => [portName(one), {}]))} : {}),
    HostConfig: {
      Init: true, // forwards TERM and reaps
      Privileged: false,
      CapDrop: ['ALL'],
      CapAdd: capabilities,
      SecurityOpt: ['no-new-privileges'],
      PidsLimit: pidsLimit,
      Ulimits: [{Name: 'nofile', Soft: nofile, Hard: nofile}],
      LogConfig: {Type: 'json-file', Config: {'max-size': '10m', 'max-file': '3'}},
      RestartPolicy: {Name: restart ?? 'no'}, // restarts are the control server's, where there is one
      PortBindings: portBindings(ports),
      ...(memoryBytes ? {Memory: memoryBytes, MemorySwap: memoryBytes} : {}),
      ...(cpus ? {NanoCpus: Math.round(cpus * 1e9)} : {}),
      ...(systemDiskGiB ? {StorageOpt: {size: `${systemDiskGiB}G`}} : {}),
      Mounts: [...volumeMounts(spec, labels), ...splitMounts(spec), ...folderMounts(spec)],
      ...(isSplit(spec) ? {Tmpfs: {[lockFolder]: 'rw,nosuid,nodev,noexec,mode=1777,size=4m'}} : {}),
      DeviceRequests: deviceRequests(spec),
      Devices: devices(spec),
    },
  }
}

/** Labelled as ours, so that none of another owner is ever removed. */
function volumeMounts({volumes = []}: ContainerSpec, labels: Record<string, string>): MountSettings[] {
  const own = Object.fromEntries(volumeLabels.flatMap(key => (labels[key] ? [[key, labels[key]]] : [])))
  return volumes.map(({name, path, readOnly = false}) => ({
    Type: 'volume',
    Source: name,
    Target: path,
    ReadOnly: readOnly,
    VolumeOptions: {NoCopy: false, Labels: own, DriverConfig: {Name: 'local', Options: {}}},
  }))
}

function folderMounts({folders = []}: ContainerSpec): MountSettings[] {
  return folders.map(({source, path, readOnly = false}) => ({
    Type: 'bind',
    Source: source,
    Target: path,
    ReadOnly: readOnly,
  }))
}

type Port = NonNullable<ContainerSpec['ports']>[number]

function portName({containerPort, protocol}: Port): string {
  return `${containerPort}/${protocol}`
}

/** A port may be shown at several ports of the host. */
function portBindings(ports: readonly Port[]): Record<string, {HostPort: string}[]> {
  const bindings: Record<string, {HostPort: string}[]> = {}
  for (const port of ports) {
    const HostPort = port.hostPort === 0 ? '' : String(port.hostPort)
    bindings[portName(port)] = [...(bindings[portName(port)] ?? []), {HostPort}]
  }
  return bindings
}

/** The facts come last, so that a tenant cannot contradict them. */
function environment(spec: ContainerSpec): string[] {
  const {env, gpus, labels} = spec
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
  return Object.entries({...own, ...facts, ...splitEnvironment(spec)}).map(([key, value]) => `${key}=${value}`)
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
