import type {InputOf} from '../../contract/contract.ts'
import type {Setting} from '../../contract/schemas/settings.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import {
  isSettingName,
  readSetting,
  type ServerSetting,
  type SettingName,
  serverSettings,
  settingKey,
} from '../server-settings.ts'
import type {ServiceDependencies} from './dependencies.ts'
import type {Services} from './services.ts'

export function settingMethods(deps: ServiceDependencies): Services['settings'] {
  const names = Object.keys(serverSettings) as SettingName[]
  return {
    list: () => Promise.all(names.map(name => shown(name, deps))),
    set: (input, caller) => set(input, caller, deps),
  }
}

async function shown(name: SettingName, {store: {settings}, server}: ServiceDependencies): Promise<Setting> {
  const {values, description} = serverSettings[name]
  return {name, values: [...values], description, ...(await readSetting(name, {settings, server}))}
}

async function set(
  {name, value, iKnow = false}: InputOf<'settings.set'>,
  caller: Caller,
  deps: ServiceDependencies,
): Promise<Setting> {
  if (!isSettingName(name)) throw problem('not_found', {kind: 'setting', name})
  const values: readonly string[] = serverSettings[name].values
  if (!values.includes(value)) {
    const fix = `Give one of ${values.join(', ')}.`
    throw problem('input_invalid', {field: 'value', problem: `is no value of ${name}`, fix})
  }
  const {risks = {}}: ServerSetting = serverSettings[name]
  const risk = Object.hasOwn(risks, value) ? risks[value] : undefined
  if (risk !== undefined && !iKnow) {
    const words = `must be true for ${name}=${value}: ${risk}`
    throw problem('input_invalid', {field: 'iKnow', problem: words, fix: 'If you want that, give --i-know.'})
  }
  await deps.journal.change(async (tx, record) => {
    await tx.settings.set(settingKey(name), value)
    const server = {id: deps.server.id, name: 'server'}
    await record.event('server', server, 'Configured', `${caller.username} set ${name} to ${value}.`, caller.username)
    await record.audit(caller, 'settings.set', name, {value})
  })
  return shown(name, deps)
}
