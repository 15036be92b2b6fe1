import type {InputOf} from '../../contract/contract.ts'
import type {BackupTarget} from '../../contract/schemas/backups.ts'
import {secretContext} from '../backup-target.ts'
import type {Caller} from '../caller.ts'
import {problem} from '../errors.ts'
import type {BackupTargetRecord} from '../records.ts'
import type {ServiceDependencies} from './dependencies.ts'
import {findersAmong, resolve} from './references.ts'
import type {Services} from './services.ts'

/** Places for backups. */
export class BackupTargetService {
  readonly #deps: ServiceDependencies

  constructor(deps: ServiceDependencies) {
    this.#deps = deps
  }

  methods(): Services['backupTargets'] {
    return {
      list: async () => (await this.#deps.store.backupTargets.list()).map(publicTarget),
      create: (input, caller) => this.#create(input, caller),
      delete: ({id}, caller) => this.#delete(id, caller),
    }
  }

  find(reference: string): Promise<BackupTargetRecord> {
    const all = () => this.#deps.store.backupTargets.list()
    return resolve(
      reference,
      findersAmong('backup target', all, ({name}) => name),
    )
  }

  async #create(input: InputOf<'backupTargets.create'>, caller: Caller): Promise<BackupTarget> {
    const {journal, secrets, clock, vault} = this.#deps
    const id = secrets.uuid()
    const at = new Date(clock.now()).toISOString()
    const {name, type, secretAccessKey = ''} = input
    const fields = type === 's3' ? s3Fields(input) : directoryFields(input)
    const sealedSecret = type === 's3' ? await vault.seal(secretAccessKey, secretContext(id)) : ''
    const made = await journal.change(async (tx, record) => {
      await record.audit(caller, 'backupTargets.create', id, {name, type, path: fields.path, bucket: fields.bucket})
      return tx.backupTargets.insert({id, createdAt: at, updatedAt: at, name, type, ...fields, sealedSecret})
    })
    return publicTarget(made)
  }

  async #delete(reference: string, caller: Caller): Promise<{done: true}> {
    const target = await this.find(reference)
    await this.#deps.journal.change(async (tx, record) => {
      const lying = (await tx.backups.list({})).filter(({targetId}) => targetId === target.id)
      if (lying.length > 0) throw problem('target_in_use', {name: target.name, count: lying.length})
      await record.audit(caller, 'backupTargets.delete', target.id, {name: target.name})
      await tx.backupTargets.delete(target.id)
    })
    return {done: true}
  }
}

type Fields = Pick<BackupTargetRecord, 'path' | 'endpoint' | 'region' | 'bucket' | 'prefix' | 'accessKeyId'>

function directoryFields({path}: InputOf<'backupTargets.create'>): Fields {
  const none = {endpoint: null, region: null, bucket: null, prefix: '', accessKeyId: null}
  return {path: given('path', path), ...none}
}

function s3Fields(input: InputOf<'backupTargets.create'>): Fields {
  const {endpoint, region = 'us-east-1', bucket, prefix = '', accessKeyId, secretAccessKey} = input
  given('secretAccessKey', secretAccessKey)
  return {
    ...{path: null, region, prefix},
    endpoint: endpointOf(given('endpoint', endpoint)),
    bucket: given('bucket', bucket),
    accessKeyId: given('accessKeyId', accessKeyId),
  }
}

function endpointOf(endpoint: string): string {
  if (URL.canParse(endpoint)) return endpoint
  const fix = 'As https://s3.example.com:9000.'
  throw problem('input_invalid', {field: 'endpoint', problem: 'has no such host or port', fix})
}

function given(field: string, value: string | undefined): string {
  if (value !== undefined) return value
  throw problem('input_invalid', {field, problem: 'is missing', fix: 'Give it.'})
}

function publicTarget({sealedSecret: _, ...target}: BackupTargetRecord): BackupTarget {
  return target
}
