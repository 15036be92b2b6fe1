import {FlagError} from './settings.ts'

export interface Service {
  name: 'gpuctl-server' | 'gpuctl-agent'
  /** Program and arguments; the first two are paths. */
  command: readonly string[]
}

/** Ours in systemd's usual places. The two do not share folders: the agent is root, the server is not. */
export const serviceFolders = (name: Service['name']) => {
  const folder = name === 'gpuctl-server' ? 'gpuctl' : name
  return {data: `/var/lib/${folder}`, cache: `/var/cache/${folder}`, config: '/etc/gpuctl'}
}

/** The account that the server runs under, for systemd-sysusers. */
export const accountText = 'u gpuctl - "gpuctl control server" /var/lib/gpuctl\n'

/**
 * The server needs its folders and the network. Node compiles code while it runs, so its memory must stay writable and
 * executable; V8 asks for protection keys at its start. A system call that is left out is refused, and kills nothing.
 */
const serverPart = `User=gpuctl
Group=gpuctl
Restart=on-failure
RestartSec=2s
TimeoutStopSec=30s
CapabilityBoundingSet=
LockPersonality=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service @pkey
`

/**
 * The agent makes containers, pools and mounts, so it is root. Only itself is ended with it: what it started runs on. No
 * Protect… and no Private… here: they give it mounts that Docker does not see (ProtectKernelLogs), or take all GPUs and disks
 * from it (ProtectClock before systemd 252). Work of the process runtime that ran out of memory is no reason to end it.
 */
const agentPart = `KillMode=process
OOMPolicy=continue
Restart=always
RestartSec=2s
TimeoutStopSec=30s
OOMScoreAdjust=-500
`

/** The text of the unit file. */
export function unitText({name, command}: Service): string {
  const {data, cache, config} = serviceFolders(name)
  const isServer = name === 'gpuctl-server'
  return `[Unit]
Description=gpuctl ${isServer ? 'control server' : 'node agent'}
Documentation=man:gpuctl(1)
Wants=network-online.target
After=network-online.target${isServer ? ' postgresql.service' : ' docker.service zfs-mount.service'}

[Service]
ExecStart=${command.map(quoted).join(' ')}
Environment=GPUCTL_DATA_DIR=${data} GPUCTL_CACHE_DIR=${cache} GPUCTL_CONFIG_DIR=${config}
EnvironmentFile=-${config}/${isServer ? 'server' : 'agent'}.env
StateDirectory=${data.split('/').at(-1)}
StateDirectoryMode=0700
CacheDirectory=${cache.split('/').at(-1)}
CacheDirectoryMode=0700
UMask=0077
LimitNOFILE=65536
${isServer ? serverPart : agentPart}
[Install]
WantedBy=multi-user.target
`
}

/** One word of ExecStart: `%` and `$` mean something to systemd, and no word may end the line. Throws FlagError. */
function quoted(word: string): string {
  if (/[\0-\x1f\x7f]/.test(word)) throw new FlagError(`${JSON.stringify(word)} cannot stand in a unit file.`)
  const plain = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /^[\w/.:=@,+%$-]+$/.test(plain) ? plain : `"${plain.replace(/["\\]/g, '\\$&')}"`
}
