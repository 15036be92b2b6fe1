import type {SettingTable} from './ports.ts'

export interface ServerSetting {
  description: string
  values: readonly string[]
  /** What the server does while nobody has set it. */
  byDefault(server: {exposed: boolean}): string
  /** Values that want a word more than their name, each with what it does. */
  risks?: Readonly<Record<string, string>>
}

/** What an operator changes while the server runs (`server config`). One line here makes a setting. */
export const serverSettings = {
  'auth.registration': {
    description: 'who may make an account: everybody, who has an invitation, or nobody',
    values: ['open', 'invite', 'closed'],
    byDefault: ({exposed}) => (exposed ? 'invite' : 'open'),
  },
  'join.legacy_poll': {
    description:
      'who gets a node’s key by its code alone (document 003): who asks from the same address, nobody, or anybody',
    values: ['same-ip', 'deny', 'any'],
    byDefault: ({exposed}) => (exposed ? 'deny' : 'same-ip'),
    risks: {any: 'whoever guesses the five letters of an approved node first gets its key, and can act as it'},
  },
  'inference.requests_per_runtime': {
    description: 'requests that a runtime gets at once; more wait. Raise it for runtimes that batch',
    values: ['1', '2', '4', '8', '16', '32', '64', '128', '256'],
    // One at a time, as the router's document has it (wire.md 1.6).
    byDefault: () => '1' as const,
  },
  'audit.keep': {
    description: 'how long rows of the audit are kept; what stays can still be verified',
    values: ['forever', '90d', '365d', '730d', '3650d'],
    byDefault: () => 'forever' as const,
  },
} as const satisfies Record<string, ServerSetting>

export type SettingName = keyof typeof serverSettings

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(serverSettings, name)
}

/** What holds now, and whether somebody set it. A value of another version that is none any more counts as not set. */
export async function readSetting<N extends SettingName>(
  name: N,
  {settings, server}: {settings: Pick<SettingTable, 'get'>; server: {exposed: boolean}},
): Promise<{value: (typeof serverSettings)[N]['values'][number]; isSet: boolean}> {
  const {values, byDefault} = serverSettings[name]
  const kept = await settings.get(settingKey(name))
  const known = values.find(value => value === kept)
  return known === undefined ? {value: byDefault(server), isSet: false} : {value: known, isSet: true}
}

/** The store keeps other things of the server among its settings, too. */
export function settingKey(name: SettingName): string {
  return `server:${name}`
}
